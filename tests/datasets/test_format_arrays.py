"""CIFAR's and STL-10's files are read as torchvision reads them; both versions of CIFAR are one data set."""

import pickle
import shutil

import numpy as np
import pytest
from torchvision import datasets as torchvision_datasets

from neuroscaling.core.errors import DataError
from neuroscaling.datasets.checks import deep_problems, light_problems
from neuroscaling.datasets.index import fingerprint, load_index, open_source
from neuroscaling.datasets.pickled_batches import read_pickled
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import SPLITS
from tests.support.image_files import (
    CIFAR10_NAMES,
    FINE_NAMES,
    random_pixels,
    write_cifar10_binary,
    write_cifar10_python,
    write_cifar100,
    write_stl10,
)

LABELS = [0, 1, 2, 3, 0, 1, 2, 3, 3, 0, 1, 2]
HELD_OUT = [3, 2, 1, 0]


def problems(settings, wanted=("all",)):
    return "\n".join(map(str, light_problems("some", settings, wanted)))


@pytest.fixture
def cifar10(tmp_path):
    """Both versions of CIFAR-10 below folders of their own, and their training and test images."""
    images, held_out = random_pixels(12, 32), random_pixels(4, 32, seed=1)
    write_cifar10_binary(tmp_path / "binary", images, LABELS, held_out, HELD_OUT)
    write_cifar10_python(tmp_path / "python", images, LABELS, held_out, HELD_OUT)
    return {"train": (images, LABELS), "validation": (held_out, HELD_OUT)}


@pytest.mark.parametrize("version", ["binary", "python"])
def test_cifar10_is_read_in_both_versions(tmp_path, cifar10, version):
    settings = DatasetSettings("cifar", root=str(tmp_path / version))
    for split in SPLITS:
        source = pickle.loads(pickle.dumps(open_source("some", settings, split)))
        images, labels = cifar10[split]
        assert (source.index.labels.tolist(), source.index.class_names) == (labels, CIFAR10_NAMES)
        assert all((source.decoded(row) == image).all() for row, image in enumerate(images))
    assert problems(settings, [3, "n5"]) == "" and deep_problems("some", settings, None) == []
    inside = next((tmp_path / version).iterdir())
    assert load_index("some", DatasetSettings("cifar", root=str(inside)), "train").labels.tolist() == LABELS


def test_the_batches_are_those_of_torchvision(tmp_path, cifar10):
    class Any10(torchvision_datasets.CIFAR10):
        def _check_integrity(self):  # its checksums are those of the real files
            return True

        def _load_meta(self):
            self.classes = CIFAR10_NAMES

    # torchvision reads batches whose keys are texts, which is what Latin-1 makes of Python 2's.
    folder = tmp_path / "python" / "cifar-10-batches-py"
    for path in folder.glob("*_batch*"):
        path.write_bytes(pickle.dumps(read_pickled(path), protocol=2))
    source = open_source("some", DatasetSettings("cifar", root=str(folder)), "train")
    theirs = Any10(tmp_path / "python")
    for row, (image, label) in enumerate(theirs):
        np.testing.assert_array_equal(source.decoded(row), np.asarray(image))
        assert source.index.labels[row] == label


def test_both_versions_are_one_data_set(tmp_path, cifar10):
    found = {fingerprint("a", DatasetSettings("cifar", root=str(tmp_path / v)), None) for v in ("binary", "python")}
    assert len(found) == 1
    path = tmp_path / "binary" / "cifar-10-batches-bin" / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert fingerprint("a", DatasetSettings("cifar", root=str(tmp_path / "binary")), None) not in found


@pytest.mark.parametrize("binary", [True, False])
def test_cifar100_has_fine_and_coarse_labels(tmp_path, binary):
    images = random_pixels(3, 32)
    write_cifar100(tmp_path, images, [0, 1, 1], [2, 0, 1], binary=binary)
    fine = open_source("some", DatasetSettings("cifar", root=str(tmp_path)), "train")
    assert (fine.index.labels.tolist(), fine.index.class_names) == ([2, 0, 1], FINE_NAMES)
    np.testing.assert_array_equal(fine.decoded(1), images[1])
    coarse = load_index("some", DatasetSettings("cifar", root=str(tmp_path), labels="coarse"), "validation")
    assert (coarse.labels.tolist(), coarse.class_names) == ([0, 1, 1], ["fish", "flowers"])


def test_all_faults_of_binary_batches_are_named(tmp_path, cifar10):
    folder = tmp_path / "binary" / "cifar-10-batches-bin"
    settings = DatasetSettings("cifar", root=str(tmp_path / "binary"))
    first, second = (bytearray((folder / f"data_batch_{i}.bin").read_bytes()) for i in (1, 2))
    (folder / "data_batch_1.bin").write_bytes(first[:-5])
    second[0] = 17
    (folder / "data_batch_2.bin").write_bytes(second)
    text = problems(settings)
    assert "data_batch_1.bin: a batch that is cut short" in text and "3,073 bytes" in text
    assert "data_batch_2.bin: train labels of no class" in text and "found:    17" in text
    for name in ("data_batch_3.bin", "batches.meta.txt"):
        (folder / name).unlink()
    assert "2 of 7 files are missing" in problems(settings) and "data_batch_3.bin, batches.meta.txt" in problems(
        settings
    )


def test_faults_of_pickled_batches_are_named(tmp_path, cifar10):
    folder = tmp_path / "python" / "cifar-10-batches-py"
    settings = DatasetSettings("cifar", root=str(tmp_path / "python"))
    whole = read_pickled(folder / "data_batch_1")

    def with_batch(content):
        (folder / "data_batch_1").write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
        return problems(settings)

    assert "3 images have 2 labels" in with_batch(whole | {"labels": [0, 1]})
    assert "no `labels` in the batch" in with_batch({"data": whole["data"], "label": [0, 1, 2]})
    assert "nearest:  label" in with_batch({"data": whole["data"], "label": [0, 1, 2]})
    assert "no pixels of images" in with_batch(whole | {"data": whole["data"].astype(float)})
    assert "no list of whole numbers" in with_batch(whole | {"labels": ["cat", "dog", "cat"]})
    assert "not a pickled batch, or cut short" in with_batch(pickle.dumps(whole)[:-900])
    assert "holds no dictionary" in with_batch([1, 2])


class Harmful:
    def __reduce__(self):
        return print, ("a pickle ran this",)


def test_a_pickle_that_wants_to_import_something_is_refused(tmp_path, cifar10, capsys):
    folder = tmp_path / "python" / "cifar-10-batches-py"
    (folder / "data_batch_4").write_bytes(pickle.dumps({"data": Harmful(), "labels": []}))
    text = problems(DatasetSettings("cifar", root=str(tmp_path / "python")))
    assert "data_batch_4: a pickle that wants to import something" in text and "builtins.print" in text
    assert capsys.readouterr().out == ""


def test_a_folder_with_neither_or_with_both_data_sets_is_named(tmp_path, cifar10):
    settings = DatasetSettings("cifar", root=str(tmp_path / "both"))
    assert "folder is missing" in problems(settings)
    (tmp_path / "both" / "cifar-10-batches").mkdir(parents=True)
    text = problems(settings)
    assert "neither CIFAR-10 nor CIFAR-100" in text and "nearest:  cifar-10-batches" in text
    shutil.copytree(tmp_path / "binary" / "cifar-10-batches-bin", tmp_path / "both" / "cifar-10-batches-bin")
    write_cifar100(tmp_path / "both", random_pixels(3, 32), [0, 1, 1], [0, 1, 2], binary=True)
    assert "both CIFAR-10 and CIFAR-100" in problems(settings)


def test_stl10_is_that_of_torchvision(tmp_path):
    class AnyStl10(torchvision_datasets.STL10):
        def _check_integrity(self):
            return True

    images = random_pixels(4, 96)
    write_stl10(tmp_path, images, [1, 3, 2, 1])
    settings = DatasetSettings("stl10", root=str(tmp_path))
    for split, theirs in (("train", "train"), ("validation", "test")):
        source = open_source("some", settings, split)
        for row, (image, label) in enumerate(AnyStl10(tmp_path, split=theirs)):
            np.testing.assert_array_equal(source.decoded(row), np.asarray(image))
            assert source.index.labels[row] == label
    np.testing.assert_array_equal(source.decoded(2), images[2])
    assert source.index.class_names == ["airplane", "bird", "car"] and problems(settings, [1]) == ""
    assert len(fingerprint("a", settings, None)) == 8


def test_faults_of_stl10_are_named(tmp_path):
    folder = write_stl10(tmp_path, random_pixels(4, 96), [1, 3, 2, 1])
    settings = DatasetSettings("stl10", root=str(tmp_path))
    (folder / "train_y.bin").write_bytes(bytes([1, 0, 4, 1]))
    assert "train labels of no class" in problems(settings) and "0, 4" in problems(settings)
    (folder / "train_y.bin").write_bytes(bytes([1, 2]))
    assert "4 images have 2 labels" in problems(settings)
    (folder / "train_X.bin").write_bytes(bytes(27_000))
    assert "cut short" in problems(settings) and "27,648" in problems(settings)
    (folder / "test_X.bin").rename(folder / "test-X.bin")
    assert "1 of 5 files are missing" in problems(settings) and "nearest:  test-X.bin" in problems(settings)


def test_an_array_that_shrank_since_it_was_listed_is_no_image(tmp_path, cifar10):
    source = open_source("some", DatasetSettings("cifar", root=str(tmp_path / "binary")), "train")
    path = tmp_path / "binary" / "cifar-10-batches-bin" / "data_batch_5.bin"
    path.write_bytes(path.read_bytes()[:3073])
    with pytest.raises(DataError, match="other files than were listed"):
        source.decoded(11)
