"""Macaque V4 recordings to natural images (Cowley, Stan, Pillow and Smith; github.com/cowleygroup/V4_compact_models).

images/images_<session>.zip                             JPEGs, numbered from 1
responses_repeat_averaged/responses_<session>.npy       (neurons, images) float64; column i is image number i + 1
responses_raw/responses_<session>.npy                   (neurons, images, repeats), NaN for repeats not made; optional
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuroscaling.core.archives import Zip
from neuroscaling.core.npy import read_npy
from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.hashing import file_sha256
from neuroscaling.regression.scores import repeat_ceiling, varies

CHECKSUMS = Path(__file__).with_name("v4_checksums.json")
log = logging.getLogger(__name__)
NUMBER = re.compile(r"(\d+)\.jpe?g$", re.IGNORECASE)


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


def sessions(root: str | Path) -> list[str]:
    """Ids of the sessions that a folder holds images and responses of."""
    root = Path(root)
    images = {file.stem.removeprefix("images_") for file in (Path(root) / "images").glob("images_*.zip")}
    averaged = (Path(root) / "responses_repeat_averaged").glob("responses_*.npy")
    return sorted(images & {file.stem.removeprefix("responses_") for file in averaged})


def checksums() -> dict[str, str]:
    """Known sha256 by file name inside the data set's folder."""
    return json.loads(CHECKSUMS.read_text(encoding="utf-8"))["sha256"]


def session_files(session: str) -> dict[str, str]:
    """File names of a session inside the data set's folder: images, responses, raw (raw is optional)."""
    return {
        "images": f"images/images_{session}.zip",
        "responses": f"responses_repeat_averaged/responses_{session}.npy",
        "raw": f"responses_raw/responses_{session}.npy",
    }


def load_session(root: str | Path, session: str) -> Session:
    """Read a session with its checks.

    Raises DataError with all that is wrong: unknown session (nearest), altered file, images and responses that differ
    in number, numbers of images that aren't 1 to n, NaN responses (named and counted), raw repeats that don't average
    to the responses, no neuron that varies. Single neurons that don't vary are left out, with a line in the log. The
    ceiling is None where there are no raw repeats.
    """
    root, root = Path(root), Path(root)
    if session not in sessions(root):
        found = sessions(root)
        raise DataError(
            Problem("no such session", str(root), session, listing(found) or "none", nearest(session, found))
        )
    files = {kind: root / name for kind, name in session_files(session).items()}
    sums = {name: file_sha256(root / name) for kind, name in session_files(session).items() if files[kind].is_file()}
    problems = list(_altered(root, sums))
    averaged = read_npy(files["responses"])
    raw = read_npy(files["raw"]) if files["raw"].is_file() else None
    numbers = image_numbers(files["images"])
    problems += _inconsistent(averaged, raw, numbers, files)
    if problems:
        raise DataError(problems)
    varying = varies(averaged.T)
    if not varying.all():
        what = "session %s: %d of %d neurons answer equally to every image and are left out: %s"
        log.warning(what, session, int((~varying).sum()), len(varying), listing(np.flatnonzero(~varying).tolist()))
    ceiling = None if raw is None else repeat_ceiling(raw[varying])
    pinned = set(sums) <= set(checksums())
    ids = [stimulus_id(session, number) for number in numbers]
    left_out = tuple(np.flatnonzero(~varying).tolist())
    return Session(session, ids, averaged[varying].T.copy(), ceiling, pinned, left_out, sums)


def stimulus_id(session: str, number: int) -> str:
    """Id of an image by its number (from 1)."""
    return f"{session}-{number:04d}"


def image_numbers(archive: Path) -> list[int]:
    """Numbers of the images in a session's archive, ascending: the order of the columns of the responses.

    The archives list their files in various orders, one of them below a folder, so only the number in a name counts.
    """
    with Zip(archive) as file:
        names = [name for name in file.names if "__MACOSX" not in name]
    return sorted(int(match[1]) for match in map(NUMBER.search, names) if match)


def _altered(root: Path, found: dict[str, str]) -> Iterator[Problem]:
    known, what = checksums(), "the file was altered or cut short"
    for name, sha256 in found.items():
        if known.get(name, sha256) != sha256:
            yield Problem(what, str(root / name), sha256, known[name], fix="fetch it again")


def _inconsistent(averaged: np.ndarray, raw: np.ndarray | None, numbers: list[int], files: dict) -> Iterator[Problem]:
    where = str(files["responses"])
    if averaged.ndim != 2:
        yield Problem("responses have another shape", where, averaged.shape, "(neurons, images)")
        return
    if numbers != list(range(1, averaged.shape[1] + 1)):
        found = f"{len(numbers)} images, numbers {numbers[0] if numbers else '-'} to {numbers[-1] if numbers else '-'}"
        yield Problem(
            "images and responses differ", str(files["images"]), found, f"1 to {averaged.shape[1]}, each once"
        )
    broken = np.flatnonzero(~np.isfinite(averaged).all(1))
    if len(broken):
        count = int((~np.isfinite(averaged)).sum())
        yield Problem(f"{count} responses are NaN or infinite", where, f"neurons {listing(broken.tolist())}")
    if not varies(averaged.T).any():
        yield Problem(f"all {len(averaged)} neurons answer equally to every image", where)
    if raw is not None and not len(broken):
        yield from _raw_problems(averaged, raw, files["raw"])


def _raw_problems(averaged: np.ndarray, raw: np.ndarray, file: Path) -> Iterator[Problem]:
    if raw.ndim != 3 or raw.shape[:2] != averaged.shape:
        allowed = f"({averaged.shape[0]}, {averaged.shape[1]}, repeats)"
        yield Problem("raw responses have another shape", str(file), raw.shape, allowed)
        return
    without = int((~np.isfinite(raw)).all(2).any(0).sum())
    if without:
        yield Problem(f"{without} images have no repeat", str(file))
    elif not np.allclose(np.nanmean(raw, axis=2), averaged, rtol=1e-6, atol=1e-9):
        yield Problem("raw responses don't average to the repeat averages", str(file), fix="fetch both files again")
    unrepeated = np.flatnonzero((np.isfinite(raw).sum(2) < 2).all(1))
    if len(unrepeated):
        what = f"no ceiling from {len(unrepeated)} neurons: none of their images has two repeats"
        fix = "without this file the session is scored without a ceiling"
        yield Problem(what, str(file), f"neurons {listing(unrepeated.tolist())}", fix=fix)
