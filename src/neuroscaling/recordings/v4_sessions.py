"""Recording sessions of macaque V4 are fetched by checksum, and read with their checks.

images/images_<session>.zip                             JPEGs, numbered from 1
responses_repeat_averaged/responses_<session>.npy       (neurons, images) float64; column i is image number i + 1
responses_raw/responses_<session>.npy                   (neurons, images, repeats), NaN for repeats not made; optional

The data are GPL-3.0 (github.com/cowleygroup/V4_compact_models); a commit is named, so that files can't change unseen.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuroscaling.core.archives import fetch_file
from neuroscaling.core.array_files import read_npy
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.recordings.recording import ArrayResponses, Recording, Split
from neuroscaling.regression.scores import repeat_ceiling, varies
from neuroscaling.study.recording_folders import (
    v4_image_numbers,
    v4_session_files,
    v4_session_names,
    v4_sha256,
    v4_stimulus_id,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A recording session: responses (images, neurons) in the order of `stimulus_ids`, ceiling (neurons,) or None.

    pinned: whether every file has the sha256 that the library knows for it; left_out: numbers (from 0) of neurons that
    answer equally to every image, of which nothing can be predicted; sha256: of the files that were read, by name.
    """

    name: str
    stimulus_ids: list[str]
    responses: np.ndarray
    ceiling: np.ndarray | None
    pinned: bool
    left_out: tuple[int, ...] = ()
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def neurons(self) -> np.ndarray:
        """Numbers (from 0) in the file of the neurons that are here."""
        return np.setdiff1d(np.arange(self.responses.shape[1] + len(self.left_out)), self.left_out)


def read_session(root: str | Path, session: str) -> Recording:
    """A session as a recording without test images: all of its images are rows of the training split.

    Raises DataError as `load_session`.
    """
    return recording_of(load_session(root, session))


def recording_of(session: Session) -> Recording:
    """The recording of a session; the ceiling is that of its raw repeats."""
    n = session.responses.shape[1]
    images = None if session.ceiling is None else len(session.stimulus_ids)
    ceiling = "raw repeats" if session.ceiling is not None else "none: no raw repeats of this session"
    return Recording(
        name=session.name,
        training=Split(session.stimulus_ids, None, ArrayResponses(session.responses), session.ceiling, images),
        tests={},
        hemisphere=np.full(n, "both"),
        vertex=session.neurons,
        regions={"V4": np.ones(n, bool)},
        ncsnr=None,
        fsaverage=None,
        masked={"both": list(session.left_out)},
        details={"pinned": session.pinned, "ceiling": ceiling},
    )


def load_session(root: str | Path, session: str) -> Session:
    """Read a session with its checks.

    Raises DataError with all that is wrong: unknown session (nearest), altered file, images and responses that differ
    in number, numbers of images that aren't 1 to n, NaN responses (named and counted), raw repeats that don't average
    to the responses, no neuron that varies. Single neurons that don't vary are left out, with a line in the log. The
    ceiling is None where there are no raw repeats.
    """
    root, root = Path(root), Path(root)
    if session not in v4_session_names(root):
        found = v4_session_names(root)
        raise DataError(
            Problem(
                what="no such session",
                where=str(root),
                value=session,
                allowed=listing(found) or "none",
                nearest=nearest(session, found),
            )
        )
    files = {kind: root / name for kind, name in v4_session_files(session).items()}
    sums = {name: file_sha256(root / name) for kind, name in v4_session_files(session).items() if files[kind].is_file()}
    problems = list(_altered(root, sums))
    averaged = read_npy(files["responses"])
    raw = read_npy(files["raw"]) if files["raw"].is_file() else None
    numbers = v4_image_numbers(files["images"])
    problems += _inconsistent(averaged, raw, numbers, files)
    if problems:
        raise DataError(problems)
    varying = varies(averaged.T)
    if not varying.all():
        what = "session %s: %d of %d neurons answer equally to every image and are left out: %s"
        log.warning(what, session, int((~varying).sum()), len(varying), listing(np.flatnonzero(~varying).tolist()))
    ceiling = None if raw is None else repeat_ceiling(raw[varying])
    pinned = set(sums) <= set(v4_sha256())
    ids = [v4_stimulus_id(session, number) for number in numbers]
    left_out = tuple(np.flatnonzero(~varying).tolist())
    return Session(session, ids, averaged[varying].T.copy(), ceiling, pinned, left_out, sums)


def _altered(root: Path, found: dict[str, str]) -> Iterator[Problem]:
    known, what = v4_sha256(), "the file was altered or cut short"
    for name, sha256 in found.items():
        if known.get(name, sha256) != sha256:
            yield Problem(what=what, where=str(root / name), value=sha256, allowed=known[name], fix="fetch it again")


def _inconsistent(averaged: np.ndarray, raw: np.ndarray | None, numbers: list[int], files: dict) -> Iterator[Problem]:
    where = str(files["responses"])
    if averaged.ndim != 2:
        yield Problem(
            what="responses have another shape", where=where, value=averaged.shape, allowed="(neurons, images)"
        )
        return
    if numbers != list(range(1, averaged.shape[1] + 1)):
        found = f"{len(numbers)} images, numbers {numbers[0] if numbers else '-'} to {numbers[-1] if numbers else '-'}"
        yield Problem(
            what="images and responses differ",
            where=str(files["images"]),
            value=found,
            allowed=f"1 to {averaged.shape[1]}, each once",
        )
    broken = np.flatnonzero(~np.isfinite(averaged).all(1))
    if len(broken):
        count = int((~np.isfinite(averaged)).sum())
        yield Problem(
            what=f"{count} responses are NaN or infinite", where=where, value=f"neurons {listing(broken.tolist())}"
        )
    if not varies(averaged.T).any():
        yield Problem(what=f"all {len(averaged)} neurons answer equally to every image", where=where)
    if raw is not None and not len(broken):
        yield from _raw_problems(averaged, raw, files["raw"])


def _raw_problems(averaged: np.ndarray, raw: np.ndarray, file: Path) -> Iterator[Problem]:
    if raw.ndim != 3 or raw.shape[:2] != averaged.shape:
        allowed = f"({averaged.shape[0]}, {averaged.shape[1]}, repeats)"
        yield Problem(what="raw responses have another shape", where=str(file), value=raw.shape, allowed=allowed)
        return
    without = int((~np.isfinite(raw)).all(2).any(0).sum())
    if without:
        yield Problem(what=f"{without} images have no repeat", where=str(file))
    elif not np.allclose(np.nanmean(raw, axis=2), averaged, rtol=1e-6, atol=1e-9):
        yield Problem(
            what="raw responses don't average to the repeat averages", where=str(file), fix="fetch both files again"
        )
    unrepeated = np.flatnonzero((np.isfinite(raw).sum(2) < 2).all(1))
    if len(unrepeated):
        what = f"no ceiling from {len(unrepeated)} neurons: none of their images has two repeats"
        fix = "without this file the session is scored without a ceiling"
        yield Problem(what=what, where=str(file), value=f"neurons {listing(unrepeated.tolist())}", fix=fix)


COMMIT = "f4552ad9d34a466ebc66658f72a08a8e5038f1cf"
V4_REPOSITORY = f"https://raw.githubusercontent.com/cowleygroup/V4_compact_models/{COMMIT}/data_V4_responses"
OFFLINE = "check the network, or give `local_dir` with the files"


def fetch_session(session: str, root: str | Path, source: str | Path = V4_REPOSITORY) -> list[Path]:
    """Bring the files of `session` into `root` (layout of the repository) and return them.

    source: a URL, or a folder to copy from. Raw repeats, which give a noise ceiling, come along where there are any.
    Each file is checked against its known sha256; files without one are accepted and logged. Files that are there and
    sound are kept. Raises DataError when a file can't be had or isn't the known one.
    """
    root = Path(root)
    fetched = []
    for kind, name in v4_session_files(session).items():
        target = Path(root) / name
        if (target.is_file() and _is_known(target, name)) or _fetch(source, name, target, optional=kind == "raw"):
            fetched.append(target)
    return fetched


def _fetch(source: str | Path, name: str, target: Path, optional: bool) -> bool:
    """Fetch one file; False where an optional one doesn't exist."""
    try:
        with atomic_path(target) as temporary:
            fetch_file(source, name, temporary, OFFLINE)
            _check_sha256(temporary, name, f"{source}/{name}")
    except FileNotFoundError as error:
        if optional:
            log.info("%s has no %s: no noise ceiling", source, name)
            return False
        raise DataError(
            Problem(what="the file doesn't exist", where=f"{source}/{name}", fix="check the session's id")
        ) from error
    return True


def _check_sha256(file: Path, name: str, where: str) -> None:
    expected, found = v4_sha256().get(name), file_sha256(file)
    if expected is None:
        log.warning("%s has no known sha256; accepted with %s", name, found)
    elif found != expected:
        raise DataError(
            Problem(
                what="the file is not the known one", where=where, value=found, allowed=expected, fix="fetch it again"
            )
        )


def _is_known(file: Path, name: str) -> bool:
    expected = v4_sha256().get(name)
    return expected is not None and file_sha256(file) == expected
