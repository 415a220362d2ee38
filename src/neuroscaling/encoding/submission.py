"""The Algonauts 2023 Challenge's submission: a zip of predictions for the test images, checked before and after.

    algonauts_2023_challenge_submission/subj0X/{lh,rh}_pred_test.npy    float32 (test images, vertices), C order
Source: the challenge's development kit (github.com/gifale95/algonauts_2023).
"""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.archives import Zip
from neuroscaling.core.array_files import NUMPY_FILE as NPY
from neuroscaling.core.array_files import npy_header, npy_shape, read_npy
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import atomic_path, reading
from neuroscaling.study import recording_folders
from neuroscaling.study.algonauts_tree import tree_subjects
from neuroscaling.study.recording_folders import HEMISPHERES

TOP = "algonauts_2023_challenge_submission"
Shapes = Mapping[str, Mapping[str, tuple[int, int]]]
WRITE_AGAIN = "write the submission again"
# Bytes of a zip must not depend on when it was written: the earliest time that the format knows.
WRITTEN = (1980, 1, 1, 0, 0, 0)


def member(subject: str, hemisphere: str) -> str:
    """Name of one prediction inside the zip."""
    return f"{TOP}/{subject}/{hemisphere}_pred_test.npy"


def expected_shapes(root: str | Path, subjects: Sequence[str] | str = "all") -> dict[str, dict[str, tuple[int, int]]]:
    """(test images, vertices) by subject and hemisphere, from an Algonauts tree; test responses aren't needed.

    Raises DataError with all that is missing: subjects, test images, training responses.
    """
    root, root = Path(root), Path(root)
    shapes: dict[str, dict[str, tuple[int, int]]] = {}
    problems = []
    for subject in tree_subjects(root, subjects):
        n_test = len(recording_folders.split_images(root / subject, "test"))
        if not n_test:
            problems.append(
                Problem(what="no test images", where=str(recording_folders.image_folder(root / subject, "test")))
            )
        shapes[subject] = {}
        for side, file in zip(HEMISPHERES, recording_folders.response_files(root / subject, "training"), strict=True):
            try:
                shapes[subject][side] = (n_test, _vertices(file))
            except DataError as error:
                problems += error.problems
    if problems:
        raise DataError(problems)
    return shapes


def _vertices(file: Path) -> int:
    shape = npy_shape(file)
    if len(shape) != 2:
        raise DataError(
            Problem(
                what="training responses tell no number of vertices",
                where=str(file),
                value=shape,
                allowed="(images, vertices)",
            )
        )
    return shape[1]


def write_submission(
    predictions: Mapping[str, Mapping[str, np.ndarray | str | Path]], out: str | Path, shapes: Shapes
) -> None:
    """Write the zip `out`: predictions {subject: {lh, rh: (test images, vertices) float32, or a .npy file of it}}.

    Equal predictions give equal bytes, on any machine: nothing is compressed (such floats don't shrink by a tenth) and
    times are fixed. Raises DataError with all faults of names, dtype, shape and values, before anything is written;
    the zip is read again before it takes its place.
    """
    out = Path(out)
    problems = list(_prediction_problems(predictions, shapes))
    if problems:
        raise DataError(problems)
    with atomic_path(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for subject in sorted(predictions):
                for side in HEMISPHERES:
                    _write(archive, member(subject, side), _load(predictions[subject][side]))
        problems = zip_problems(temporary, shapes)
        if problems:
            raise DataError(problems)


def check_submission(path: str | Path, root: str | Path) -> list[Problem]:
    """Everything that is wrong with a zip for the challenge, against an Algonauts tree with all its subjects."""
    path, root = Path(path), Path(root)
    return zip_problems(Path(path), expected_shapes(root))


def zip_problems(path: str | Path, shapes: Shapes) -> list[Problem]:
    """Everything that is wrong with a zip: names, dtypes, order, shapes, values that aren't finite, damage."""
    path = Path(path)
    if not Path(path).is_file():
        return [Problem(what="file is missing", where=str(path))]
    try:
        with Zip(path, WRITE_AGAIN) as archive:
            return [*_name_problems(archive, path, shapes), *_content_problems(archive, path, shapes)]
    except DataError as error:
        return error.problems


def read_prediction(archive: Zip, name: str) -> np.ndarray:
    """One array of an open zip. Raises DataError for a file with pickled objects, or that is no NumPy file."""
    with reading(archive.path, NPY, WRITE_AGAIN, f"{archive.path}: {name}"):
        return np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)


def _name_problems(archive: Zip, path: Path, shapes: Shapes) -> Iterator[Problem]:
    """Files that are missing, twice, in another folder, or that nobody asked for."""
    names = [name for name in archive.names if not name.endswith("/")]
    wanted = [member(subject, side) for subject in shapes for side in HEMISPHERES]
    extra = sorted(set(names) - set(wanted))
    tops = sorted({name.split("/")[0] if "/" in name else "no folder" for name in names} - {TOP, "__MACOSX"})
    if tops:
        fix = f"zip the folder {TOP}, not what is in it"
        yield Problem(
            what="wrong top folder",
            where=str(path),
            value=listing(tops),
            allowed=TOP,
            nearest=nearest(tops[0], [TOP]),
            fix=fix,
        )
    for name in wanted:
        if name not in names:
            yield Problem(what="prediction is missing", where=str(path), allowed=name, nearest=nearest(name, extra))
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(what="file stands in the zip twice", where=str(path), value=name, allowed="each once")
    strangers = [name for name in extra if name.startswith((f"{TOP}/", "__MACOSX/"))]
    if strangers:
        what = f"{len(strangers)} files that are no predictions of these subjects"
        yield Problem(
            what=what,
            where=str(path),
            value=listing(strangers),
            allowed=f"{TOP}/subj0X/{{lh,rh}}_pred_test.npy",
            fix="remove them",
        )


def _content_problems(archive: Zip, path: Path, shapes: Shapes) -> Iterator[Problem]:
    """Faults of each prediction that is there; its header first, so that nothing odd is read whole."""
    for subject in shapes:
        for side in HEMISPHERES:
            name = member(subject, side)
            if name in archive.names:
                yield from _member_problems(archive, f"{path}: {name}", name, shapes[subject], side)


def _member_problems(
    archive: Zip, where: str, name: str, shapes: Mapping[str, tuple[int, int]], side: str
) -> Iterator[Problem]:
    try:
        with reading(archive.path, NPY, WRITE_AGAIN, where), archive.open(name) as file:
            shape, fortran, dtype = npy_header(file)
        problems = list(_array_problems(where, shape, dtype, shapes, side))
        if fortran and len(shape) == 2 and min(shape) > 1:
            problems.append(
                Problem(
                    what="columns come first",
                    where=where,
                    value="Fortran order",
                    allowed="C order",
                    fix="np.ascontiguousarray",
                )
            )
        yield from problems or _value_problems(where, read_prediction(archive, name))
    except DataError as error:
        yield from error.problems


def _prediction_problems(predictions: Mapping[str, Mapping[str, Any]], shapes: Shapes) -> Iterator[Problem]:
    """Faults of predictions that are to be written."""
    for subject in sorted(set(predictions) - set(shapes)):
        yield Problem(
            what="predictions of an unknown subject", where="submission", value=subject, allowed=listing(sorted(shapes))
        )
    for subject in shapes:
        for side in sorted(set(predictions.get(subject, {})) - set(HEMISPHERES)):
            yield Problem(
                what="no such hemisphere", where=f"submission: {subject}", value=side, allowed=", ".join(HEMISPHERES)
            )
        for side in HEMISPHERES:
            given = predictions.get(subject, {}).get(side)
            where = f"submission: {subject} {side}"
            if given is None:
                yield Problem(what="prediction is missing", where=where)
                continue
            try:
                array = _load(given)
            except DataError as error:
                yield from error.problems
                continue
            problems = list(_array_problems(where, array.shape, array.dtype, shapes[subject], side))
            yield from problems or _value_problems(where, array)


def _array_problems(
    where: str, shape: tuple[int, ...], dtype: np.dtype, shapes: Mapping[str, tuple[int, int]], side: str
) -> Iterator[Problem]:
    if dtype != np.dtype("<f4"):
        yield Problem(
            what="wrong dtype",
            where=where,
            value=str(dtype),
            allowed="float32 (little-endian)",
            fix="predictions.astype('<f4')",
        )
    if shape != tuple(shapes[side]):
        other = HEMISPHERES[1 - HEMISPHERES.index(side)]
        swapped = shape == tuple(shapes[other])
        fix = f"this is the shape of {other}: are the hemispheres swapped?" if swapped else ""
        yield Problem(
            what="wrong shape",
            where=where,
            value=shape,
            allowed=f"{tuple(shapes[side])}: (test images, vertices)",
            fix=fix,
        )


def _value_problems(where: str, array: np.ndarray) -> Iterator[Problem]:
    bad = np.nonzero(~np.isfinite(array).all(0))[0]
    if len(bad):
        yield Problem(
            what=f"{len(bad)} vertices have NaN or infinite predictions",
            where=where,
            value=listing(bad.tolist()),
            allowed="numbers",
        )


def _load(given: np.ndarray | str | Path) -> np.ndarray:
    return given if isinstance(given, np.ndarray) else read_npy(given, mapped=True)


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    info = zipfile.ZipInfo(name, WRITTEN)
    info.create_system, info.external_attr = 3, 0o644 << 16  # as on Unix, whatever the machine
    with archive.open(info, "w") as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
