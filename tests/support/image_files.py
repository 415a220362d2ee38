"""Small files of the image data sets that labs begin with, each in its true layout."""

import gzip

import numpy as np


def idx(array):
    """An array of bytes as an idx file."""
    kind = b"\0\0\x08" + bytes([array.ndim])
    return kind + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def write_idx_files(folder, labels, *, held_out=None, prefixes=("train", "t10k"), packed=False, seed=0):
    """The four files of MNIST; returns the images of both splits, uint8 (n, 28, 28).

    labels, held_out: of the training and of the test images; by default the same ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random, images = np.random.default_rng(seed), []
    for prefix, numbers in zip(prefixes, (labels, labels if held_out is None else held_out), strict=True):
        images.append(random.integers(0, 256, (len(numbers), 28, 28), dtype=np.uint8))
        for kind, array in (("images-idx3", images[-1]), ("labels-idx1", np.array(numbers, np.uint8))):
            name, content = f"{prefix}-{kind}-ubyte", idx(array)
            (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return images
