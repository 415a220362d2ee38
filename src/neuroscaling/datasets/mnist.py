"""Originals of the infinite digits: MNIST's files where they are, else scikit-learn's digits brought to their size."""

import gzip
import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from neuroscaling.core.reading import reading
from neuroscaling.datasets.deform import SIZE
from neuroscaling.datasets.digits import load_digits
from neuroscaling.errors import DataError, Problem

FILES = {"train": "train", "validation": "t10k"}
INSIDE = 20  # pixels: MNIST's digits are 20 x 20, with a margin of 4
AGAIN = "fetch the file again"
MAGIC = {3: 0x803, 1: 0x801}  # unsigned bytes, of three axes or one


def load_originals(folder: str | None, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Undeformed digits of a split: uint8 (n, 28, 28), white on black, and int64 (n,) in 0..9.

    folder: with MNIST's idx files, packed by gzip or not; None: scikit-learn's digits. Raises DataError when a file
    is missing, cut short or of another kind.
    """
    if folder is None:
        images, labels, _ = load_digits(split)
        return np.stack([_enlarged(image) for image in images]), labels
    images, labels = _read_idx(idx_file(folder, split, 3), 3), load_labels(folder, split)
    if len(images) != len(labels):
        what = f"{len(images)} images have {len(labels)} labels"
        raise DataError(Problem(what, str(idx_file(folder, split, 1)), fix="fetch both files again"))
    return images, labels


def load_labels(folder: str | None, split: str) -> np.ndarray:
    """Labels of the undeformed digits, int64 (n,), without their images."""
    if folder is None:
        return load_digits(split)[1]
    return _read_idx(idx_file(folder, split, 1), 1).astype(np.int64)


def originals_hash(folder: str | None) -> str:
    """What tells the training digits from others: sha256 of their file, unpacked; empty for scikit-learn's."""
    if folder is None:
        return ""
    path = idx_file(folder, "train", 3)
    stat = path.stat()
    return _content_hash(path, stat.st_size, stat.st_mtime_ns)


@cache
def _content_hash(path: Path, size: int, changed: int) -> str:
    """size, changed: of the file, so that another file in its place is read again."""
    return hashlib.sha256(_unpacked(path)).hexdigest()


def idx_file(folder: str, split: str, axes: int) -> Path:
    """MNIST's file of images (3 axes) or labels (1 axis). Raises DataError when it is missing."""
    name = f"{FILES[split]}-{'images-idx3' if axes == 3 else 'labels-idx1'}-ubyte"
    found = next((path for path in (Path(folder) / name, Path(folder) / f"{name}.gz") if path.is_file()), None)
    if found is None:
        fix = "check `mnist:`; leave it out for scikit-learn's digits"
        raise DataError(Problem("file is missing", str(Path(folder) / name), allowed=f"{name} or {name}.gz", fix=fix))
    return found


def _read_idx(path: Path, axes: int) -> np.ndarray:
    """An idx file: big-endian magic number and sizes, then bytes (the format is described on MNIST's page)."""
    data = _unpacked(path)
    with reading(path, "an idx file", AGAIN):
        magic, *shape = np.frombuffer(data, ">i4", 1 + axes).tolist()
        values = np.frombuffer(data, np.uint8, offset=4 * (1 + axes))
    if magic != MAGIC[axes] or len(values) != np.prod(shape) or shape[1:] != [SIZE] * (axes - 1):
        what = "not MNIST's file, or cut short"
        raise DataError(Problem(what, str(path), f"{len(values)} values of shape {shape}", fix=AGAIN))
    return values.reshape(shape)


def _unpacked(path: Path) -> bytes:
    """The file's bytes. Raises DataError when it is cut short."""
    with reading(path, "an idx file that can be unpacked", AGAIN):
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _enlarged(image: np.ndarray) -> np.ndarray:
    from PIL import Image  # not while a study is parsed

    inside = Image.fromarray(image).resize((INSIDE, INSIDE), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(inside), (SIZE - INSIDE) // 2)
