"""Headers of a subject's NumPy files: which can be read, and whether their numbers are of the right kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.encoding.algonauts import layout
from neuroscaling.encoding.rois import CLASSES
from neuroscaling.errors import Problem


@dataclass(frozen=True)
class Header:
    """Shape of an array, and its type as NumPy writes it (`float32`)."""

    shape: tuple[int, ...]
    dtype: str


def read_headers(folder: Path) -> tuple[dict[Path, Header], list[Problem]]:
    """Headers of a subject's files that are there, and the problems of those that can't be read or hold other numbers.

    Mappings are left out: they hold no array.
    """
    import numpy as np

    headers, problems = {}, []
    for file, allowed in _files(folder):
        try:
            array = np.load(file, mmap_mode="r")
        except FileNotFoundError:
            continue
        except (ValueError, OSError, EOFError) as error:
            problems.append(Problem(f"not a NumPy file, or cut short: {error}", str(file), fix="copy it again"))
            continue
        headers[file] = Header(array.shape, array.dtype.name)
        if array.dtype.name not in allowed:
            problems.append(Problem("wrong type of numbers", str(file), array.dtype.name, ", ".join(allowed)))
    return headers, problems


def read_shape(file: Path) -> tuple[int, ...]:
    """Shape of an array; () for a file that isn't there or can't be read."""
    import numpy as np

    try:
        return np.load(file, mmap_mode="r").shape
    except (ValueError, OSError, EOFError):
        return ()


INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")


def _files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Every array that a subject may have, and the types that it may be of."""
    for split in layout.SPLITS:
        yield from ((file, ("float32",)) for file in layout.response_files(folder, split))
        yield layout.repeats_file(folder, split), INTEGERS
    for file in (*layout.ceiling_files(folder), *layout.ncsnr_files(folder)):
        yield file, ("float32", "float64")
    for mask_class in CLASSES:
        for space in ("challenge", "fsaverage"):
            yield from ((file, INTEGERS) for file in layout.mask_files(folder, mask_class, space))
    yield from ((file, INTEGERS) for file in layout.all_vertices_files(folder))
