"""The idx files of MNIST and its successors are read as torchvision reads them; EMNIST's images are turned upright."""

import gzip
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets as torchvision_datasets

from neuroscaling.core.errors import DataError
from neuroscaling.datasets import format_idx, formats
from neuroscaling.datasets.checks import deep_problems, light_problems
from neuroscaling.datasets.decode import decode, square
from neuroscaling.datasets.format_idx import FASHION_MNIST, IDX
from neuroscaling.datasets.index import fingerprint, load_index, open_source
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import Package
from tests.support.image_files import idx, write_idx_files

LABELS = [3, 1, 2, 0, 3, 1]
EMNIST = ("emnist-{}-train", "emnist-{}-test")


def problems(settings, wanted=("all",)):
    return "\n".join(map(str, light_problems("some", settings, wanted)))


@pytest.mark.parametrize("kind", ["MNIST", "FashionMNIST", "KMNIST"])
def test_the_files_are_those_of_torchvision(tmp_path, kind):
    write_idx_files(tmp_path / kind / "raw", LABELS, held_out=[2, 0])
    settings = DatasetSettings("idx", root=str(tmp_path))
    for split, train in (("train", True), ("validation", False)):
        theirs = getattr(torchvision_datasets, kind)(tmp_path, train=train)
        source = pickle.loads(pickle.dumps(open_source("some", settings, split)))
        assert source.index.labels.tolist() == theirs.targets.tolist()
        for row, (image, _) in enumerate(theirs):
            np.testing.assert_array_equal(source.decoded(row), np.asarray(image.convert("RGB")))
    assert list(load_index("some", settings, "validation").image_ids) == ["validation-000000", "validation-000001"]
    assert problems(settings, [1, "all", "n5", "c2"]) == ""
    assert deep_problems("some", settings, None) == []


@pytest.mark.parametrize("emnist", ["letters", "balanced", "byclass"])
def test_emnist_is_that_of_torchvision_turned_upright(tmp_path, emnist):
    labels = [1, 26, 5, 1] if emnist == "letters" else [0, 46, 10, 36]
    prefixes = [prefix.format(emnist) for prefix in EMNIST]
    write_idx_files(tmp_path / "EMNIST" / "raw", labels, prefixes=prefixes)
    source = open_source("some", DatasetSettings("idx", root=str(tmp_path), emnist=emnist), "train")
    theirs = torchvision_datasets.EMNIST(tmp_path, split=emnist)
    for row, (image, label) in enumerate(theirs):
        np.testing.assert_array_equal(source.decoded(row)[:, :, 0], np.asarray(image).T)
        assert source.index.class_names[source.index.labels[row]] == theirs.classes[label]
    assert source.index.class_names == [name for name in theirs.classes if name != "N/A"]


def test_emnist_that_is_not_named_is_recognised(tmp_path):
    for name in ("letters", "digits"):
        write_idx_files(tmp_path, [1, 2], prefixes=[prefix.format(name) for prefix in EMNIST])
    text = problems(DatasetSettings("idx", root=str(tmp_path)))
    assert "these are EMNIST's files" in text and "digits, letters" in text and "emnist: digits" in text


def test_the_fingerprint_is_of_the_images_however_they_are_packed(tmp_path):
    write_idx_files(tmp_path / "plain", LABELS)
    write_idx_files(tmp_path / "packed", LABELS, packed=True)
    write_idx_files(tmp_path / "others", LABELS, seed=1)
    write_idx_files(tmp_path / "relabelled", LABELS[::-1])
    found = [fingerprint("a", DatasetSettings("idx", root=str(folder)), None) for folder in sorted(tmp_path.iterdir())]
    others, packed, plain, relabelled = found
    assert plain == packed and len({plain, others, relabelled}) == 3


def test_a_kept_fingerprint_is_not_that_of_files_which_changed(tmp_path):
    settings = DatasetSettings("idx", root=str(tmp_path / "files"))
    write_idx_files(tmp_path / "files", LABELS)
    first = fingerprint("a", settings, tmp_path / "cache")
    write_idx_files(tmp_path / "files", LABELS, seed=1)
    for path in (tmp_path / "files").iterdir():
        os.utime(path, ns=(1, 1))  # a date that differs for certain
    assert fingerprint("a", settings, tmp_path / "cache") != first


def test_classes_may_have_names(tmp_path):
    write_idx_files(tmp_path, LABELS)
    (tmp_path / "names.txt").write_text("coat\nboot\nbag\nshirt\n")
    settings = DatasetSettings("idx", root=str(tmp_path), class_names=str(tmp_path / "names.txt"))
    assert load_index("some", settings, "validation").class_names == ["coat", "boot", "bag", "shirt"]
    (tmp_path / "names.txt").write_text("coat\nboot\nbag\n")
    assert "train labels of no class" in problems(settings) and "found:    3" in problems(settings)


def test_a_grey_image_reaches_a_network_whole(tmp_path):
    images, _ = write_idx_files(tmp_path, LABELS)
    image = decode(open_source("some", DatasetSettings("idx", root=str(tmp_path)), "train"), 2)
    assert image.shape == (3, 28, 28) and (image == image[:1]).all()
    np.testing.assert_array_equal(square(image, 28)[0], images[2])
    assert square(image, 32).shape == (3, 32, 32)


def test_files_that_are_wrong_are_named(tmp_path):
    settings = DatasetSettings("idx", root=str(tmp_path))
    write_idx_files(tmp_path, LABELS)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "t10k-labels-idx1-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-20])
    labels.write_bytes(idx(np.array([0, 9, 200, 1, 1, 1], np.uint8)))
    text = problems(settings)
    assert "cut short" in text and "6 x 28 x 28" in text
    images.write_bytes(whole)
    assert "validation labels of no class" in problems(settings) and "9, 200" in problems(settings)
    labels.write_bytes(idx(np.array([0, 1, 2], np.uint8)))
    assert "6 images have 3 labels" in problems(settings)
    images.write_bytes(b"\0\0\x0d\x03" + whole[4:])
    text = problems(settings)
    assert "by its first four bytes" in text and "00 00 0d 03" in text and "00 00 08 03" in text
    labels.rename(tmp_path / "t10k-labels-idx1.ubyte")
    images.write_bytes(whole)
    text = problems(settings)
    assert "file is missing" in text and "nearest:  t10k-labels-idx1.ubyte" in text


def test_a_packed_file_that_is_cut_short_is_noticed_without_unpacking(tmp_path):
    write_idx_files(tmp_path, LABELS, packed=True)
    settings, path = DatasetSettings("idx", root=str(tmp_path)), tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    assert "cut short" in problems(settings)
    damaged = bytearray(whole)
    damaged[1000:1040] = bytes(40)
    path.write_bytes(damaged)
    assert problems(settings) == ""
    with pytest.raises(DataError, match=r"ubyte\.gz: not an idx file that can be unpacked"):
        open_source("some", settings, "train", "known").decoded(0)


def test_images_of_two_sizes_and_classes_without_images_are_told_together(tmp_path):
    write_idx_files(tmp_path, [0, 2, 0])
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((3, 32, 32), np.uint8)))
    text = problems(DatasetSettings("idx", root=str(tmp_path)))
    assert "images of two sizes" in text and "classes without training images" in text


def test_a_folder_without_files_or_with_those_of_two_sets_is_named(tmp_path):
    settings = DatasetSettings("idx", root=str(tmp_path / "sets"))
    assert "folder is missing" in problems(settings)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "train-image-idx3-ubyte").touch()
    assert "nearest:  train-image-idx3-ubyte" in problems(settings)
    for kind in ("MNIST", "KMNIST"):
        write_idx_files(tmp_path / "sets" / kind / "raw", LABELS)
    text = problems(settings)
    assert "files of several data sets" in text and "MNIST, KMNIST" in text
    assert problems(replace(settings, root=f"{settings.root}/KMNIST")) == ""


def test_an_installed_package_is_found_where_no_root_is_given(tmp_path, monkeypatch):
    package = Package(str(tmp_path / "installed"), "apt-get install it")
    monkeypatch.setattr(format_idx, "FASHION_MNIST", package)
    monkeypatch.setitem(formats.FORMATS, "idx", replace(IDX, package=package))
    settings = DatasetSettings("idx", root=None)
    text = problems(settings)
    assert "no root" in text and "SOME_ROOT" in text and "apt-get install it" in text
    write_idx_files(tmp_path / "installed", LABELS, packed=True)
    assert problems(settings) == "" and len(load_index("some", settings, "train")) == len(LABELS)


@pytest.mark.skipif(
    not Path(FASHION_MNIST.folder).is_dir(), reason="Debian's package of Fashion-MNIST is not installed"
)
def test_fashion_mnist_of_debian_is_the_published_one():
    settings = DatasetSettings("idx", classes=10, images=60_000)
    assert problems(settings, [6000, "all"]) == ""
    source = open_source("fashion", settings, "validation")
    assert np.bincount(source.index.labels).tolist() == [1000] * 10
    assert source.index.labels[:6].tolist() == [
        9,
        2,
        1,
        1,
        6,
        1,
    ]  # an ankle boot, a pullover, two pairs of trousers ...
    content = gzip.decompress((Path(FASHION_MNIST.folder) / "t10k-images-idx3-ubyte.gz").read_bytes())
    np.testing.assert_array_equal(
        source.decoded(77)[:, :, 2].ravel(), np.frombuffer(content[16:], np.uint8)[77 * 784 :][:784]
    )
