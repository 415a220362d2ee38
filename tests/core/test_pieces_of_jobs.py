"""What goes wrong in one piece of a job keeps no other from being done, and all of it is told at the end."""

import pytest

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.leases import Held
from neuroscaling.core.logs import Pieces


def done(pieces: Pieces, *, raised: tuple[type[Exception], ...] = ()) -> list[str]:
    """Three pieces of which two fail; which were done."""
    found = []
    for name, error in (
        ("a", DataError(Problem(what="no images", where="x.png"))),
        ("b", ValueError("NaN")),
        ("c", None),
    ):
        with pieces.piece(name, raised):
            if error:
                raise error
            found.append(name)
    return found


def test_the_others_are_done_and_the_end_names_all_that_failed(caplog):
    pieces = Pieces()
    assert done(pieces) == ["c"]
    with pytest.raises(DataError) as told:
        pieces.end()
    assert [(one.where, one.what) for one in told.value.problems] == [
        ("a: x.png", "no images"),
        ("b", "ValueError: NaN"),
    ]
    assert "Traceback" in caplog.text  # of what is no problem of the data
    Pieces().end()


def test_an_error_that_ends_the_job_and_that_of_the_only_piece_are_raised_as_they_are():
    with pytest.raises(ValueError, match="NaN"):
        done(Pieces(), raised=(Held, ValueError))
    with pytest.raises(DataError) as told:
        done(Pieces(alone=True))
    assert told.value.problems == [Problem(what="no images", where="x.png")]
