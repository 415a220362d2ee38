"""Small files of the image data sets that labs begin with, each in its true layout."""

import gzip
import io
import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


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


CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat"]
COARSE_NAMES, FINE_NAMES = ["fish", "flowers"], ["apple", "bear", "crab"]


def random_pixels(n, side, seed=0):
    """uint8 (n, side, side, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def planes(images):
    """Images (n, h, w, 3) as rows of three planes, (n, 3 h w), as CIFAR has them."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def write_cifar10_binary(root, images, labels, held_out, held_out_labels):
    """`cifar-10-batches-bin/`: five batches and one to test with; returns the folder."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    parts = zip(np.array_split(planes(images), 5), np.array_split(labels, 5), strict=True)
    batches = {f"data_batch_{i}": part for i, part in enumerate(parts, 1)}
    for name, (rows, numbers) in (batches | {"test_batch": (planes(held_out), held_out_labels)}).items():
        content = np.concatenate([np.array(numbers, np.uint8)[:, None], rows], axis=1)
        (folder / f"{name}.bin").write_bytes(content.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10_NAMES) + "\n\n")
    return folder


def write_cifar10_python(root, images, labels, held_out, held_out_labels):
    """`cifar-10-batches-py/`: the same, pickled with keys of bytes as Python 2 did; returns the folder."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    parts = zip(np.array_split(planes(images), 5), np.array_split(labels, 5), strict=True)
    batches = {f"data_batch_{i}": part for i, part in enumerate(parts, 1)}
    for name, (rows, numbers) in (batches | {"test_batch": (planes(held_out), held_out_labels)}).items():
        batch = {b"batch_label": b"one", b"labels": [int(number) for number in numbers], b"data": rows}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": CIFAR10_NAMES, "num_vis": 3072}, protocol=2))
    return folder


def write_cifar100(root, images, coarse, fine, *, binary):
    """`cifar-100-binary/` or `cifar-100-python/`, with the same images to train and to test; returns the folder."""
    folder = root / ("cifar-100-binary" if binary else "cifar-100-python")
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        if binary:
            labels = np.array([coarse, fine], np.uint8).T
            (folder / f"{name}.bin").write_bytes(np.concatenate([labels, planes(images)], axis=1).tobytes())
        else:
            batch = {"data": planes(images), "fine_labels": list(fine), "coarse_labels": list(coarse)}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    if binary:
        (folder / "coarse_label_names.txt").write_text("\n".join(COARSE_NAMES) + "\n")
        (folder / "fine_label_names.txt").write_text("\n".join(FINE_NAMES) + "\n")
    else:
        names = {"coarse_label_names": COARSE_NAMES, "fine_label_names": FINE_NAMES}
        (folder / "meta").write_bytes(pickle.dumps(names, protocol=2))
    return folder


def write_stl10(root, images, labels):
    """`stl10_binary/`, column by column, with the same images to train and to test; labels count from 1."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for prefix in ("train", "test"):
        (folder / f"{prefix}_X.bin").write_bytes(np.ascontiguousarray(images.transpose(0, 3, 2, 1)).tobytes())
        (folder / f"{prefix}_y.bin").write_bytes(bytes(labels))
    (folder / "class_names.txt").write_text("airplane\nbird\ncar\n")
    return folder


def write_tiny_imagenet(root, classes, per_class=2):
    """`tiny-imagenet-200/` with a few classes; one validation image of each. Returns the folder."""
    folder = root / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(classes) + "\n")
    lines = []
    for label, name in enumerate(classes):
        (folder / "train" / name / "images").mkdir(parents=True)
        (folder / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t8\t8\n")
        for i in range(per_class):
            (folder / "train" / name / "images" / f"{name}_{i}.JPEG").write_bytes(encoded(10 * label + i))
        (folder / "val" / "images" / f"val_{label}.JPEG").write_bytes(encoded(100 + label))
        lines.append(f"val_{label}.JPEG\t{name}\t0\t0\t8\t8\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return folder


def encoded(seed, kind="JPEG"):
    """The file of an image of 8 x 8 random pixels."""
    file = io.BytesIO()
    Image.fromarray(random_pixels(1, 8, seed)[0]).save(file, kind)
    return file.getvalue()


def write_parquet(path, contents, labels, *, names=None, columns=("image", "label"), group=2):
    """A shard as the hub has it: a struct of bytes and path, labels, class names in the schema's metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image, label = columns
    rows = [{"bytes": content, "path": f"{i}.JPEG"} for i, content in enumerate(contents)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({image: pa.array(rows, kind), label: pa.array(labels)})
    if names:
        features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=group)
