"""Every format lists its images as torchvision or the format's own rules do, reads them, and says what is wrong."""

import gzip
import io
import os
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets as torchvision_datasets

from neuroscaling.core.errors import DataError
from neuroscaling.datasets import checks
from neuroscaling.datasets.checks import deep_problems, light_problems
from neuroscaling.datasets.format_digits import load_digits
from neuroscaling.datasets.index import fingerprint, load_index, open_source
from neuroscaling.datasets.settings import DatasetSettings
from tests.support.image_files import idx

BIRDS = ["00000_Animalia_Chordata_Aves_A_B_C_finch", "00001_Animalia_Chordata_Aves_A_B_C_wren"]


def save(path, seed, size=(12, 9)):
    """A small image of random pixels; returns them."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def problems(settings, wanted=("all",)):
    return "\n".join(map(str, light_problems("some", settings, wanted)))


@pytest.fixture
def birds(tmp_path):
    """iNaturalist's layout: three training images and one validation image of two categories."""
    for folder, n in (("2021_train", 3), ("2021_valid", 1)):
        for label, name in enumerate(BIRDS):
            for i in range(n):
                save(tmp_path / folder / name / f"{i}-{label}.jpg", 10 * label + i)
    return DatasetSettings("inaturalist", root=str(tmp_path))


@pytest.fixture
def places(tmp_path):
    """Places365's layout with three categories, whose numbers are not in the order of their names."""
    categories = ["/b/beach", "/a/alley", "/b/bar/inside"]
    (tmp_path / "categories_places365.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(categories)))
    train = [(f"{name}/{i}.jpg", label) for label, name in enumerate(categories) for i in (1, 2)]
    held_out = [(f"Places365_val_{i}.jpg", label) for i, label in enumerate((2, 0, 1))]
    for file, folder, images in (
        ("places365_train_standard.txt", "data_256_standard", train),
        ("places365_val.txt", "val_256", held_out),
    ):
        (tmp_path / file).write_text("".join(f"{name} {label}\n" for name, label in images))
        for seed, (name, _) in enumerate(images):
            save(tmp_path / folder / name.lstrip("/"), seed)
    return DatasetSettings("places365", root=str(tmp_path))


@pytest.fixture
def lists(tmp_path):
    """Two lists with named labels; a path with a space."""
    names = ["d/one 1.png", "d/two.png", "three.png", "four.png"]
    for seed, name in enumerate(names):
        save(tmp_path / name, seed)
    (tmp_path / "train.txt").write_text("d/one 1.png dog\n/d/two.png cat\n\n# a comment\nthree.png\tdog\n")
    (tmp_path / "val.txt").write_text("four.png cat\n")
    return DatasetSettings("filelist", root=str(tmp_path), train="train.txt", validation="val.txt")


def write_shard(path, members):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def png(seed):
    file = io.BytesIO()
    Image.fromarray(np.full((5, 4, 3), seed, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def shards(tmp_path):
    """Three training shards of two images each and one of validation images; labels are names."""
    for shard in range(3):
        members = [
            (f"set/{key}{extension}", content)
            for key, label in ((f"{shard}a", b"cat"), (f"{shard}b", b"dog\n"))
            for extension, content in ((".png", png(10 * shard + len(label))), (".cls", label), (".json", b"{}"))
        ]
        write_shard(tmp_path / "shards" / f"train-{shard:02d}.tar", members)
    write_shard(tmp_path / "shards" / "val.tar", [("v.cls", b"dog"), ("v.png", png(99))])
    root = tmp_path / "shards"
    return DatasetSettings("webdataset", train=f"{root}/train-{{00..02}}.tar", validation=f"{root}/val*.tar")


def assert_same_images(settings, split, theirs, root):
    source = open_source("some", settings, split)
    assert len(source.index) == len(theirs)
    ours = {str(source.path(row)): row for row in range(len(theirs))}
    for (image, label), file in zip(theirs, root, strict=True):
        row = ours.pop(str(file))
        assert source.index.labels[row] == label
        np.testing.assert_array_equal(source.decoded(row), np.asarray(image.convert("RGB")))
        assert source.encoded(row) == Path(file).read_bytes()


def test_inaturalist_is_that_of_torchvision(birds):
    for split, version in (("train", "2021_train"), ("validation", "2021_valid")):
        theirs = torchvision_datasets.INaturalist(birds.root, version)
        files = [f"{theirs.root}/{theirs.all_categories[category]}/{name}" for category, name in theirs.index]
        assert_same_images(birds, split, theirs, files)
    assert problems(birds) == ""


def test_places365_is_that_of_torchvision(places):
    class Few(torchvision_datasets.Places365):
        def _check_integrity(self, *arguments):  # its checksums are those of the whole lists
            return True

    for split, theirs in (("train", "train-standard"), ("validation", "val")):
        found = Few(places.root, theirs, small=True)
        assert_same_images(places, split, found, [file for file, _ in found.imgs])
    assert load_index("some", places, "train").class_names == ["b/beach", "a/alley", "b/bar/inside"]
    assert problems(places, ["2", "c3"]) == ""


def test_an_image_folder_is_that_of_torchvision(tmp_path):
    for i, name in enumerate(("train/B/2.png", "train/B/10.png", "train/a/x.png", "val/B/1.png", "val/a/1.png")):
        save(tmp_path / name, i)
    for split, folder in (("train", "train"), ("validation", "val")):
        theirs = torchvision_datasets.ImageFolder(tmp_path / folder)
        index = load_index("some", DatasetSettings("imagefolder", root=str(tmp_path)), split)
        assert [f"{tmp_path}/{folder}/{image_id}" for image_id in index.image_ids] == [path for path, _ in theirs.imgs]
        assert (index.labels.tolist(), index.class_names) == (theirs.targets, theirs.classes)


def test_a_file_list_with_names_for_labels(lists):
    index = load_index("some", lists, "train")
    assert list(index.image_ids) == ["d/one 1.png", "d/two.png", "three.png"]
    assert (index.class_names, index.labels.tolist()) == (["cat", "dog"], [1, 0, 1])
    validation = load_index("some", lists, "validation")
    assert (validation.class_names, validation.labels.tolist()) == (["cat", "dog"], [0])
    assert problems(lists) == ""


def test_a_file_list_with_numbers_for_labels(lists, tmp_path):
    (tmp_path / "train.txt").write_text("d/one 1.png 2\nd/two.png 0\nthree.png 1\n")
    (tmp_path / "val.txt").write_text("four.png 2\n")
    assert load_index("some", lists, "train").class_names == ["0", "1", "2"]
    (tmp_path / "names.txt").write_text("ant\nbee\ncow\n")
    named = load_index("some", replace(lists, class_names="names.txt"), "validation")
    assert (named.class_names, named.labels.tolist()) == (["ant", "bee", "cow"], [2])


def test_faults_of_a_file_list_are_named(lists, tmp_path):
    (tmp_path / "train.txt").write_text("d/two.png cat\nnolabel.png\nd/two.png dog\n")
    text = problems(lists)
    assert "lines without a label" in text and "lines 2" in text
    assert "images that are named twice" in text and "d/two.png" in text
    (tmp_path / "train.txt").write_text("d/two.png cat\ngone.png dog\n")
    assert "1 of 2 images looked at" in problems(lists) and "gone.png" in problems(lists)
    (tmp_path / "val.txt").write_text("four.png cut\n")
    assert "validation labels of no class" in problems(lists) and "nearest:  cat" in problems(lists)
    (tmp_path / "val.txt").unlink()
    assert "file is missing" in problems(lists)


def test_images_of_a_large_list_that_were_missing_are_looked_for_again(lists, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "FILES_LOOKED_AT", 1)
    (tmp_path / "three.png").rename(tmp_path / "elsewhere.png")
    (tmp_path / "train.txt").write_text("three.png dog\nd/two.png cat\n")
    assert "three.png" in str(light_problems("some", lists, ["all"], tmp_path / "cache"))
    (tmp_path / "elsewhere.png").rename(tmp_path / "three.png")
    for _ in range(2):
        assert light_problems("some", lists, ["all"], tmp_path / "cache") == []


def test_lists_as_other_systems_write_them(lists, tmp_path):
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbfd/one 1.png dog\r\nd/two.png cat\r\n")
    index = load_index("some", lists, "train")
    assert list(index.image_ids) == ["d/one 1.png", "d/two.png"] and index.class_names == ["cat", "dog"]


def test_files_of_a_list_that_are_not_there_are_all_named(lists, tmp_path):
    (tmp_path / "train.txt").write_text("d/two.png cat\nthree.png dog\ngone1.png dog\ngone2.png cat\n")
    with pytest.raises(DataError) as raised:
        fingerprint("some", lists, None)
    text = str(raised.value)
    assert "2 of 4 images can't be read" in text and "gone1.png" in text and "gone2.png" in text


def test_the_fingerprint_of_a_file_list_follows_labels_and_bytes(lists, tmp_path):
    first = fingerprint("some", lists, tmp_path / "cache")
    assert fingerprint("other", lists, None) == first
    train = (tmp_path / "train.txt").read_text()
    (tmp_path / "train.txt").write_text(train.replace("three.png\tdog", "three.png\tcat"))
    os.utime(tmp_path / "train.txt", ns=(1, 1))  # a date that differs for certain
    relabelled = fingerprint("some", lists, tmp_path / "cache")
    (tmp_path / "train.txt").write_text(train)
    save(tmp_path / "three.png", 77)
    for name in ("train.txt", "three.png"):
        os.utime(tmp_path / name, ns=(2, 2))
    assert len({first, relabelled, fingerprint("some", lists, tmp_path / "cache")}) == 3


def test_shards_are_read_at_their_offsets(shards):
    source = pickle.loads(pickle.dumps(open_source("some", shards, "train")))
    assert list(source.index.image_ids) == [f"set/{shard}{letter}" for shard in range(3) for letter in "ab"]
    assert (source.index.class_names, source.index.labels.tolist()) == (["cat", "dog"], [0, 1] * 3)
    rows = [5, 0, 3, 2, 4, 1] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(source.decoded, rows))
    assert [image[0, 0, 0] for image in found] == [10 * (row // 2) + (3 if row % 2 == 0 else 4) for row in rows]
    assert load_index("some", shards, "validation").labels.tolist() == [1]
    assert problems(shards) == ""


def test_faults_of_shards_are_named(shards, tmp_path):
    path = tmp_path / "shards" / "train-01.tar"
    write_shard(path, [("lonely.png", png(1)), ("set/0a.cls", b"cat"), ("set/0a.png", png(2))])
    text = problems(shards)
    assert "without a label" in text and "lonely" in text and "train-01.tar" in text
    write_shard(path, [("set/0a.cls", b"cat"), ("set/0a.png", png(2))])
    assert "images that are named twice" in problems(shards)
    write_shard(path, [("a.cls", b"cat"), ("a.png", png(1)), ("a.jpg", b"another"), ("b.cls", b"\n"), ("b.png", b"")])
    text = problems(shards)
    assert "several images or labels" in text and "without a label" in text
    write_shard(path, [("a.cls", b"cat"), ("a.png", png(1)), ("a.cls", b"dog")])
    assert "several images or labels" in problems(shards)
    path.write_bytes(gzip.compress(b"no tar"))
    assert "not a tar file, or cut short" in problems(shards)
    path.unlink()
    (tmp_path / "shards" / "train-02.tar").unlink()
    text = problems(shards)
    assert text.count("2 of 3 shards are missing") == 1 and "train-01.tar" in text and "train-02.tar" in text
    assert "no shards" in problems(replace(shards, train=f"{tmp_path}/none-*.tar"))


def test_a_shard_that_is_cut_short_is_noticed(shards, tmp_path):
    source = open_source("some", shards, "train")
    path = tmp_path / "shards" / "train-02.tar"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="cut short"):
        source.decoded(5)
    assert "not a tar file, or cut short" in problems(shards)


def test_undecodable_members_are_named(shards, tmp_path):
    write_shard(tmp_path / "shards" / "val.tar", [("v.cls", b"dog"), ("v.jpg", b"no image")])
    first, second = deep_problems("some", shards, tmp_path / "cache")
    assert "1 of 1 images can't be decoded" in str(first) and "val.tar: v: " in str(second)


def test_infinite_digits_begin_with_the_originals_and_never_change():
    settings = DatasetSettings("infimnist", images=3000)
    source = open_source("some", settings, "train")
    originals, labels, _ = load_digits("train")
    n = len(originals)
    assert (len(source.index), source.index.image_ids[123]) == (3000, "infimnist-0000123")
    assert source.index.labels.tolist() == np.resize(labels, 3000).tolist()
    first, later, again = source.decoded(7), source.decoded(7 + n), pickle.loads(pickle.dumps(source)).decoded(7 + n)
    assert first.shape == (28, 28, 3) and first.dtype == np.uint8 and not first[:4].any()
    np.testing.assert_array_equal(later, again)
    # A deformed digit looks more like its original than another digit does, but isn't the same.
    likeness = [np.corrcoef(first.ravel(), image.ravel())[0, 1] for image in (later, source.decoded(8))]
    assert likeness[1] < likeness[0] < 0.999
    with pytest.raises(io.UnsupportedOperation):
        source.encoded(0)


def test_deformed_digits_are_recognised_by_their_originals():
    source = open_source("some", DatasetSettings("infimnist", images=1438 * 2), "train")
    pixels = np.stack([source.decoded(row)[:, :, 0].ravel() for row in range(1438 * 2)]).astype(np.float32)
    originals, deformed = pixels[:1438], pixels[1438::5]
    distance = (originals**2).sum(1)[None] - 2 * deformed @ originals.T
    own = np.arange(0, 1438, 5)
    distance[np.arange(len(own)), own] = np.inf  # not by the very original
    found = source.index.labels[:1438][distance.argmin(1)]
    assert (found == source.index.labels[own]).mean() > 0.6


def test_infinite_digits_are_validated_on_undeformed_held_out_ones():
    index = load_index("some", DatasetSettings("infimnist", images=50), "validation")
    assert len(index) == 359 and index.image_ids[0] == "infimnist-held-out-0000000"
    assert index.labels.tolist() == load_digits("validation")[1].tolist()


@pytest.mark.parametrize("packed", [False, True])
def test_infinite_digits_take_the_files_of_mnist(tmp_path, packed):
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5, 9], np.uint8)
    for prefix in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name, content = f"{prefix}-{kind}-ubyte", idx(array)
            (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    settings = DatasetSettings("infimnist", images=10, mnist=str(tmp_path))
    source = open_source("some", settings, "train")
    assert source.index.labels.tolist() == [3, 1, 4, 1, 5, 9, 3, 1, 4, 1]
    np.testing.assert_array_equal(source.decoded(4)[:, :, 1], images[4])
    assert fingerprint("a", settings, None) != fingerprint("a", replace(settings, mnist=None), None)
    assert problems(settings, ["all", "n10", "c3"]) == ""
    for file in tmp_path.glob("train-images*"):
        file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cut short|can't be unpacked"):
        open_source("some", settings, "train")


def test_digits_of_mnist_without_a_label_are_refused(tmp_path):
    for prefix, n in (("train", 6), ("t10k", 6)):
        (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(np.zeros((n, 28, 28), np.uint8)))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.zeros(5, np.uint8)))
    with pytest.raises(DataError, match="6 images have 5 labels"):
        open_source("some", DatasetSettings("infimnist", images=10, mnist=str(tmp_path)), "train")
    packed = bytearray(gzip.compress(np.random.default_rng(0).integers(0, 7, 5000, dtype=np.uint8).tobytes()))
    packed[100:200] = bytes(100)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(packed)
    assert "not an idx file that can be unpacked" in problems(
        DatasetSettings("infimnist", images=10, mnist=str(tmp_path))
    )


def test_mnist_that_is_missing_says_which_file(tmp_path):
    text = problems(DatasetSettings("infimnist", images=10, mnist=str(tmp_path)))
    assert "train-images-idx3-ubyte" in text and "leave it out" in text


def test_strange_folders_of_inaturalist_are_named(birds, tmp_path):
    for split in ("2021_train", "2021_valid"):
        save(tmp_path / split / "notes" / "a.jpg", 1)
    assert "folders that are no categories" in problems(birds) and "notes" in problems(birds)
