"""Loops that count themselves where somebody watches."""

import threading

import pytest

from neuroscaling.core.counting import Part, Tally, alive, counted, counting, share_of


def test_loops_within_each_other_tell_where_they_are():
    tally, seen = Tally("encoding", "subjects", 2), []
    with counting(tally):
        for _ in counted("abc", "candidate"):
            for _ in counted(iter("xy"), "fit"):
                seen.append((", ".join(map(str, tally.parts)), tally.steps))
    assert seen == [
        ("candidate 1 of 3, fit 1", 0),
        ("candidate 1 of 3, fit 2", 1),
        ("candidate 2 of 3, fit 1", 3),
        ("candidate 2 of 3, fit 2", 4),
        ("candidate 3 of 3, fit 1", 6),
        ("candidate 3 of 3, fit 2", 7),
    ]
    assert (tally.steps, tally.parts, tally.done) == (9, (), 0)


def test_a_loop_that_is_asked_for_its_things_later_counts_where_it_stands_then():
    """A generator that is made ahead of the loop that it is used in, as a solver's are."""
    tally = Tally("encoding", "subjects")
    with counting(tally):
        fits = counted(iter("xyz"), "fit", 3)
        assert tally.parts == ()
        for _ in counted("a", "task"):
            seen = [", ".join(map(str, tally.parts)) for _ in fits]
    assert seen == [f"task 1 of 1, fit {number} of 3" for number in (1, 2, 3)]


def test_an_error_leaves_no_loop_behind():
    tally = Tally("encoding", "subjects")
    with counting(tally):
        with pytest.raises(ValueError, match="odd"):
            for _ in counted("ab", "candidate"):
                for _ in counted("xy", "fit"):
                    raise ValueError("odd")
        assert tally.parts == ()
        for _ in counted("ab", "region"):
            assert [part.unit for part in tally.parts] == ["region"]


def test_where_nobody_watches_things_are_passed_on():
    assert list(counted(iter("ab"), "candidate")) == ["a", "b"]
    alive()


def test_threads_do_not_count_for_each_other():
    tally = Tally("extraction", "images")
    with counting(tally):
        other = threading.Thread(target=lambda: list(counted("abc", "block")))
        other.start()
        other.join()
        assert tally.steps == 0
        alive()
        assert (tally.steps, tally.signs) == (0, 1)


@pytest.mark.parametrize(
    ("parts", "share"),
    [
        ((), 0),
        ((Part("candidate", 1, 4),), 1 / 4),
        ((Part("candidate", 1, 4), Part("task", 1, 2), Part("fit", 3, None), Part("system", 1, 2)), 3 / 8),
        ((Part("candidate", 4, 4), Part("task", 1, 2)), 1),
        ((Part("candidate", 0, 0),), 0),
    ],
)
def test_the_share_that_loops_have_done(parts, share):
    assert share_of(parts) == pytest.approx(share)
