"""Headers of a subject's NumPy files: which can be read, and whether they hold numbers of the right kind."""

from collections.abc import Iterator
from pathlib import Path

from neuroscaling.core.npy import npy_shape, read_npy
from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.rois import CLASSES
from neuroscaling.errors import DataError, Problem

Shapes = dict[Path, tuple[int, ...]]


def read_shapes(folder: Path) -> tuple[Shapes, list[Problem]]:
    """Shapes of a subject's arrays that are there and have as many axes as they should, and the problems of others.

    Mappings are left out: they hold no array.
    """
    shapes, problems = {}, []
    for file, axes, allowed in _files(folder):
        if not file.exists():
            continue
        try:
            array = read_npy(file, mapped=True)
        except DataError as error:
            problems += error.problems
            continue
        if array.dtype.name not in allowed:
            problems.append(Problem("wrong type of numbers", str(file), array.dtype.name, ", ".join(allowed)))
        if len(axes) == array.ndim:
            shapes[file] = array.shape
        else:
            what, expected = "wrong number of axes", f"({', '.join(axes)})"
            problems.append(Problem(what, str(file), f"shape {array.shape}", expected))
    return shapes, problems


def read_shape(file: Path) -> tuple[int, ...]:
    """Shape of an array; () for a file that isn't there or can't be read."""
    try:
        return npy_shape(file)
    except DataError:
        return ()


INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")


def _files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...], tuple[str, ...]]]:
    """Every array that a subject may have, its axes, and the types that it may be of."""
    for split in layout.SPLITS:
        for file in layout.response_files(folder, split):
            yield file, ("images", "vertices"), ("float32",)
        yield layout.repeats_file(folder, split), ("images",), INTEGERS
    for file in (*layout.ceiling_files(folder), *layout.ncsnr_files(folder)):
        yield file, ("vertices",), ("float32", "float64")
    for mask_class in CLASSES:
        for space in ("challenge", "fsaverage"):
            for file in layout.mask_files(folder, mask_class, space):
                yield file, ("vertices",), INTEGERS
    for file in layout.all_vertices_files(folder):
        yield file, ("vertices",), INTEGERS
