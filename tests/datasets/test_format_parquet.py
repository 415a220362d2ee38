"""Parquet files of the hub are read by row groups, in any order, by many threads; Tiny ImageNet by its table."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.images import rgb_pixels
from neuroscaling.datasets import format_parquet
from neuroscaling.datasets.checks import deep_problems, light_problems
from neuroscaling.datasets.index import fingerprint, load_index, open_source
from neuroscaling.datasets.settings import DatasetSettings
from tests.support.image_files import encoded, write_parquet, write_tiny_imagenet

NAMES = ["tench", "goldfish", "shark"]
LABELS = [[0, 1, 2, 0, 1], [2, 2, 1]]


def problems(settings, wanted=("all",)):
    return "\n".join(map(str, light_problems("some", settings, wanted)))


@pytest.fixture
def hub(tmp_path):
    """Two training files of five and three images in row groups of two, and one to validate."""
    for part, labels in enumerate(LABELS):
        contents = [encoded(10 * part + i) for i in range(len(labels))]
        write_parquet(tmp_path / "data" / f"train-0000{part}-of-00002.parquet", contents, labels, names=NAMES)
    path = tmp_path / "data" / "validation-00000-of-00001.parquet"
    write_parquet(path, [encoded(90), encoded(91)], [2, 0], names=NAMES)
    return DatasetSettings("parquet", root=str(tmp_path))


def test_images_are_read_by_row_groups_in_any_order(hub, monkeypatch):
    monkeypatch.setattr(format_parquet, "KEPT_BYTES", 1000)  # no more than the last row group
    source = pickle.loads(pickle.dumps(open_source("some", hub, "train")))
    assert (source.index.labels.tolist(), source.index.class_names) == ([*LABELS[0], *LABELS[1]], NAMES)
    assert source.columns["group"].tolist() == [0, 0, 1, 1, 2, 0, 0, 1]
    expected = [encoded(10 * part + i) for part, labels in enumerate(LABELS) for i in range(len(labels))]
    rows = [7, 0, 4, 3, 5, 1, 6, 2] * 10
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(source.encoded, rows)) == [expected[row] for row in rows]
    np.testing.assert_array_equal(source.decoded(6), rgb_pixels(expected[6], ""))
    assert load_index("some", hub, "validation").labels.tolist() == [2, 0]
    assert problems(hub, [2, "n7", "c2"]) == "" and deep_problems("some", hub, None) == []


def test_images_in_order_cost_one_look_at_each_row_group(hub, monkeypatch):
    looks = []
    read = format_parquet.KeptGroups._read
    monkeypatch.setattr(
        format_parquet.KeptGroups, "_read", lambda self, *place: looks.append(place) or read(self, *place)
    )
    source = open_source("some", hub, "train", "known")
    for row in range(8):
        source.encoded(row)
    assert looks == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


def test_the_fingerprint_follows_the_bytes_of_the_images(hub, tmp_path):
    first = fingerprint("a", hub, None)
    again = tmp_path / "data" / "train-00001-of-00002.parquet"
    write_parquet(again, [encoded(10), encoded(11), encoded(12)], LABELS[1], names=NAMES, group=3)
    assert fingerprint("a", hub, None) == first
    write_parquet(again, [encoded(10), encoded(11), encoded(13)], LABELS[1], names=NAMES)
    assert fingerprint("a", hub, None) != first


def test_columns_and_names_may_be_others(tmp_path):
    for split in ("train", "test"):
        path = tmp_path / f"{split}.parquet"
        write_parquet(path, [encoded(i, "PNG") for i in range(3)], ["b", "a", "b"], columns=("img", "fine"))
    settings = DatasetSettings("parquet", root=str(tmp_path), train="train.parquet", validation="test*.parquet")
    text = problems(settings)
    assert "no such column" in text and "set `image_column:`" in text and "set `label_column:`" in text
    assert "nearest:  img" in text and "allowed:  img, fine" in text
    settings = replace(settings, image_column="img", label_column="fine")
    index = load_index("some", settings, "validation")
    assert (index.class_names, index.labels.tolist()) == (["a", "b"], [1, 0, 1]) and problems(settings) == ""
    swapped = problems(replace(settings, image_column="fine", label_column="img"))
    assert "holds no images" in swapped and "holds no labels" in swapped


def test_faults_of_all_files_are_named(hub, tmp_path):
    first, second = sorted((tmp_path / "data").glob("train-*"))
    write_parquet(first, [encoded(0), encoded(1)], [0, -1], names=NAMES)
    assert "train labels of no class" in problems(hub) and "found:    -1" in problems(hub)
    write_parquet(first, [encoded(0), encoded(1)], [0, 1], names=NAMES[::-1])
    assert "other class names than in the first file" in problems(hub)
    write_parquet(first, [encoded(0), encoded(1)], [0, None], names=NAMES)
    second.write_bytes(second.read_bytes()[:-30])
    text = problems(hub)
    assert "1 images without a label" in text and "rows 1" in text
    assert f"{second}: not a parquet file, or cut short" in text
    second.unlink()
    assert "1 of 2 files are missing" in problems(hub) and "parts 1" in problems(hub)
    first.unlink()
    assert "no shards" in problems(hub) and "check `train:`" in problems(hub)
    assert "folder is missing" in problems(replace(hub, root=f"{tmp_path}/none"))


def test_an_image_without_bytes_and_a_damaged_row_group_are_named(hub, tmp_path):
    path = tmp_path / "data" / "validation-00000-of-00001.parquet"
    write_parquet(path, [None, b"no image"], [2, 0], names=NAMES)
    text = "\n".join(map(str, deep_problems("some", hub, None)))
    assert "2 of 2 images can't be decoded" in text
    assert f"{path}: row 0: no bytes of an image" in text and f"{path}: row 1: image can't be decoded" in text
    train = tmp_path / "data" / "train-00000-of-00002.parquet"
    source = open_source("some", hub, "train", "known")
    content = bytearray(train.read_bytes())
    content[4:60] = bytes(56)
    train.write_bytes(content)
    with pytest.raises(DataError, match=r"train-00000-of-00002\.parquet: not a parquet file"):
        source.encoded(0)


def test_tiny_imagenet_takes_classes_from_folders_and_from_the_table(tmp_path):
    folder = write_tiny_imagenet(tmp_path, ["n02", "n01"])
    settings = DatasetSettings("tiny-imagenet", root=str(tmp_path))
    train, validation = open_source("some", settings, "train"), load_index("some", settings, "validation")
    assert list(train.index.image_ids)[:2] == ["n01/images/n01_0.JPEG", "n01/images/n01_1.JPEG"]
    assert (train.index.class_names, train.index.labels.tolist()) == (["n01", "n02"], [0, 0, 1, 1])
    assert (list(validation.image_ids), validation.labels.tolist()) == (["val_0.JPEG", "val_1.JPEG"], [1, 0])
    np.testing.assert_array_equal(train.decoded(2), rgb_pixels(encoded(0), ""))
    assert problems(settings, [2]) == "" and deep_problems("some", settings, None) == []
    assert fingerprint("a", settings, None) == fingerprint("a", replace(settings, root=str(folder)), None)


def test_faults_of_tiny_imagenet_are_named_together(tmp_path):
    folder = write_tiny_imagenet(tmp_path, ["n01", "n02"])
    settings, table = DatasetSettings("tiny-imagenet", root=str(tmp_path)), folder / "val" / "val_annotations.txt"
    whole = table.read_text()
    table.write_text("val_0.JPEG\tn03\t0\t0\t8\t8\nval_0.JPEG\tn01\nval_1.JPEG\n")
    text = problems(settings)
    assert "images that are named twice" in text and "lines 3" in text
    assert "validation labels of no class" in text and "n03" in text
    table.write_text(whole)
    (folder / "train" / "n09").mkdir()
    (folder / "val" / "images" / "val_1.JPEG").unlink()
    for path in (folder / "train" / "n02" / "images").iterdir():
        path.unlink()
    text = problems(settings)
    assert "folders that are no classes" in text and "n09" in text
    assert "classes without training images" in text and "1 of 2 images looked at" in text
    (folder / "train" / "n02" / "images").rmdir()
    assert "1 of 2 classes have no folder `images`" in problems(settings)
    (folder / "wnids.txt").unlink()
    assert "wnids.txt: file is missing" in problems(settings)


def test_folders_of_splits_may_be_named_otherwise(tmp_path):
    for split in ("training", "valid"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.png").write_bytes(encoded(1, "PNG"))
    settings = DatasetSettings("imagefolder", root=str(tmp_path))
    text = problems(settings)
    assert "nearest:  training" in text and "write `train: training`" in text and "write `validation: valid`" in text
    settings = replace(settings, train="training", validation="valid")
    assert problems(settings) == "" and len(load_index("some", settings, "validation")) == 2
