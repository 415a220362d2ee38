"""The digits' fixed split, image folders, fingerprints, and what bad folders get."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import read_json
from neuroscaling.core.records import write_record
from neuroscaling.datasets import checks, format_digits, format_folders, image_listing, packed_names
from neuroscaling.datasets import index as datasets_index
from neuroscaling.datasets.checks import deep_problems, light_problems
from neuroscaling.datasets.decode import decode_into, square
from neuroscaling.datasets.format_digits import load_digits
from neuroscaling.datasets.formats import NO_ROOT, declared_fingerprint, has_declared_size
from neuroscaling.datasets.index import fingerprint, load_index, open_source
from neuroscaling.datasets.packed_names import join_names, pack_names
from neuroscaling.datasets.settings import DatasetSettings

DIGITS = DatasetSettings("digits")
DIGITS_FINGERPRINT = "ba513494"


@pytest.fixture
def folder(tmp_path):
    """Two classes, three training images and two validation images each; not square."""
    rng = np.random.default_rng(0)
    root = tmp_path / "pets"
    for split, n in (("train", 3), ("val", 2)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{name}_{i:04d}.png")
    return root


def settings_of(root):
    return DatasetSettings("imagefolder", root=str(root))


def messages(root, wanted=("all",)):
    return "\n".join(str(problem) for problem in light_problems("pets", settings_of(root), wanted))


def test_digits_are_those_of_scikit_learn():
    from sklearn import datasets

    bundle = datasets.load_digits()
    seen = []
    for split in ("train", "validation"):
        images, labels, image_ids = load_digits(split)
        rows = [int(image_id.removeprefix("digit-")) for image_id in image_ids]
        assert images.dtype == np.uint8 and images.max() == 255
        np.testing.assert_array_equal(images, np.round(bundle.images[rows] * 255 / 16))
        np.testing.assert_array_equal(labels, bundle.target[rows])
        seen += rows
    assert sorted(seen) == list(range(1797))


def test_the_split_of_the_digits_is_fixed_and_stratified():
    _, labels, image_ids = load_digits("validation")
    assert len(labels) == 359 and image_ids[:3] == ["digit-0010", "digit-0011", "digit-0019"]
    assert np.bincount(labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]


def test_other_digits_than_the_known_ones_are_refused(monkeypatch):
    format_digits._all_digits.cache_clear()
    monkeypatch.setattr(format_digits, "DIGITS_SHA256", "0" * 64)
    with pytest.raises(DataError, match="not the known ones"):
        load_digits("train")
    format_digits._all_digits.cache_clear()


def test_unknown_split_names_the_nearest():
    with pytest.raises(DataError, match=r"nearest: +validation"):
        load_digits("validating")


def squares(folder, rows, size):
    source = open_source("pets", settings_of(folder), "train")
    out = np.zeros((len(rows), size, size, 3), np.uint8)
    return out, decode_into(out, source, np.array(rows), lambda image: square(image, size))


def test_images_come_in_the_order_of_the_rows(folder):
    index = load_index("pets", settings_of(folder), "train")
    photographs, faults = squares(folder, [4, 0], 20)
    assert index.image_ids[4] == "dog/dog_0001.png" and index.labels.tolist() == [0, 0, 0, 1, 1, 1] and not faults
    with Image.open(folder / "train" / "dog" / "dog_0001.png") as image:
        np.testing.assert_array_equal(photographs[0], np.asarray(image)[:, 5:25])


def test_truncated_images_are_all_named_and_counted(folder):
    for name in ("cat/cat_0001.png", "dog/dog_0002.png"):
        path = folder / "train" / name
        path.write_bytes(path.read_bytes()[:400])
    _, faults = squares(folder, range(6), 16)
    found = "\n".join(map(str, deep_problems("pets", settings_of(folder), None)))
    assert "2 of 6 images can't be decoded" in found and "corrupt_limit: 0" in found and sorted(faults) == [1, 5]
    for text in (found, "\n".join(map(str, faults.values()))):
        assert "cat_0001.png" in text and "dog_0002.png" in text and "cat_0000.png" not in text


def test_decoding_is_checked_again_when_the_folder_changed(folder, tmp_path):
    assert deep_problems("pets", settings_of(folder), tmp_path / "cache") == []
    assert list((tmp_path / "cache").glob("decoding-*.json"))
    (folder / "val" / "dog" / "dog_0002.png").write_bytes(b"no image")
    assert "dog_0002.png" in str(deep_problems("pets", settings_of(folder), tmp_path / "cache")[1])


def test_corrupt_images_up_to_the_limit_are_let_pass(folder, tmp_path):
    (folder / "train" / "cat" / "cat_0001.png").write_bytes(b"no image")
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        assert deep_problems("pets", replace(settings_of(folder), corrupt_limit=1), cache) == []
        found = deep_problems("pets", replace(settings_of(folder), corrupt_limit=0), cache)
        assert "1 of 6 images can't be decoded" in str(found[0]) and "cat_0001.png" in str(found[1])


def test_a_sound_folder_has_no_problems(folder):
    assert messages(folder, [1, 3, "all"]) == ""
    assert light_problems("digits", DIGITS, [1, 100, "all"]) == []


@pytest.mark.parametrize("wanted, expected", [([4], "class `cat` has only 3 images"), ([0], "at least 1")])
def test_wrong_samples_per_class(folder, wanted, expected):
    assert expected in messages(folder, wanted)


def test_too_many_digits():
    (problem,) = light_problems("digits", DIGITS, [140])
    assert "class `8` has only 139 images" in str(problem)


def test_missing_and_empty_folders(folder, tmp_path):
    assert "folder is missing" in messages(tmp_path / "nowhere")
    (tmp_path / "empty" / "train").mkdir(parents=True)
    (tmp_path / "empty" / "val").mkdir()
    assert messages(tmp_path / "empty").count("no class folders") == 2


def test_a_class_without_images(folder):
    for file in (folder / "train" / "dog").iterdir():
        file.unlink()
    assert "classes without images" in messages(folder) and "dog" in messages(folder)
    shutil.rmtree(folder / "train" / "cat")
    (folder / "train" / "cat").mkdir()
    assert "no images in any class folder" in messages(folder)


def test_classes_that_differ_between_the_splits(folder):
    (folder / "val" / "dog").rename(folder / "val" / "dogs")
    text = messages(folder)
    assert "classes of `train` are missing here" in text and "classes of `val` are missing here" in text
    assert "nearest:  dogs" in text


def test_names_that_are_not_in_utf_8_are_refused(folder):
    os.rename(folder / "train" / "cat" / "cat_0001.png", os.fsencode(folder / "train" / "cat") + b"/caf\xe9.png")
    (folder / "val" / "dog" / "dog_0001.png").rename(folder / "val" / "dog" / "größe.png")
    text = messages(folder)
    assert "1 names of train images or classes are not in UTF-8" in text and r"cat/caf\xe9.png" in text
    assert "validation" not in text


def test_swapped_class_folders_are_noticed(folder):
    (folder / "val" / "dog").rename(folder / "val" / "other")
    (folder / "val" / "cat").rename(folder / "val" / "dog")
    (folder / "val" / "other").rename(folder / "val" / "cat")
    text = messages(folder)
    assert "2 of 2 images are named after class `cat`" in text and "were `dog` and `cat` swapped?" in text
    assert os.path.join("train", "dog") not in text


def test_one_stray_image_is_noticed(folder):
    (folder / "train" / "cat" / "cat_0000.png").rename(folder / "train" / "dog" / "cat_0009.png")
    assert "1 of 4 images are named after class `cat`" in messages(folder)


def test_the_fingerprint_follows_names_and_bytes(folder, tmp_path):
    cache = tmp_path / "cache"
    first = fingerprint("pets", settings_of(folder), cache)
    assert first == fingerprint("other", settings_of(folder), None) and len(first) == 8
    path = folder / "train" / "dog" / "dog_0000.png"
    original = path.read_bytes()
    path.write_bytes(original + b"\0")
    changed = fingerprint("pets", settings_of(folder), cache)
    path.write_bytes(original)
    assert changed != first and fingerprint("pets", settings_of(folder), cache) == first
    path.rename(path.with_name("dog_0007.png"))
    assert fingerprint("pets", settings_of(folder), cache) not in (first, changed)


@pytest.mark.parametrize("kind", ["a file", "a loop", "a name too long"])
def test_a_cache_that_can_not_be_used_is_done_without(kind, folder, tmp_path, monkeypatch):
    for module in (image_listing, checks, datasets_index):
        monkeypatch.setattr(module, "FILES_LOOKED_AT", 1)  # so that all would be kept
    cache, settings = tmp_path / "cache", settings_of(folder)
    if kind == "a file":
        cache.write_text("")
    elif kind == "a loop":
        cache.symlink_to(cache)
    else:  # what looks at it gets an error of the system, as for a folder that it may not enter
        cache = tmp_path / ("x" * 300)
    for _ in range(2):
        assert fingerprint("pets", settings, cache) == fingerprint("pets", settings, None)
        assert light_problems("pets", settings, ["all"], cache) == []
        found, plain = load_index("pets", settings, "train", None, cache), load_index("pets", settings, "train")
        assert list(found.image_ids) == list(plain.image_ids)
    monkeypatch.setattr(checks, "FILES_LOOKED_AT", 20_000)
    assert deep_problems("pets", settings, cache) == deep_problems("pets", settings, None)


def test_an_altered_fingerprint_in_the_cache_is_not_taken(folder, tmp_path):
    first = fingerprint("pets", settings_of(folder), tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(content.replace(first.encode(), b"00000000"))
    assert fingerprint("pets", settings_of(folder), tmp_path / "cache") == first
    assert kept.read_bytes() == content


def test_the_fingerprint_is_taken_from_the_cache(folder, tmp_path):
    first = fingerprint("pets", settings_of(folder), tmp_path)
    (entry,) = tmp_path.glob("fingerprint-*.json")
    write_record(entry, read_json(entry) | {"value": "cafecafe"})
    assert fingerprint("pets", settings_of(folder), tmp_path) == "cafecafe"
    entry.write_text("{")
    assert fingerprint("pets", settings_of(folder), tmp_path) == first


def test_fingerprints_are_what_they_always_were(tmp_path):
    assert fingerprint("digits", DIGITS, None) == DIGITS_FINGERPRINT
    total = hashlib.sha256()
    for name in ("a/1.png", "a/2.PNG", "b/1.jpeg"):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        total.update(f"{name}\0".encode() + hashlib.sha256(name.encode()).digest())
    assert fingerprint("some", settings_of(tmp_path), tmp_path / "cache") == total.hexdigest()[:8]


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A folder that counts as large: three classes of three files, one of them empty."""
    for module in (image_listing, checks, datasets_index):
        monkeypatch.setattr(module, "FILES_LOOKED_AT", 4)
    for split in ("train", "val"):
        for name in "abc":
            (tmp_path / "many" / split / name).mkdir(parents=True)
            for i in range(3):
                (tmp_path / "many" / split / name / f"{i}.jpg").write_bytes(b"x" * i)
    return tmp_path / "many"


def test_the_state_of_a_large_folder_is_told_from_its_class_folders(many, tmp_path, monkeypatch):
    cache, settings = tmp_path / "cache", settings_of(many)
    assert light_problems("many", settings, [3], cache) == []
    first, index = fingerprint("many", settings, cache), load_index("many", settings, "train", "f", cache)
    # Nothing but the class folders is looked at from now on.
    monkeypatch.setattr(format_folders, "image_names", lambda folder: pytest.fail(f"{folder} was listed again"))
    assert light_problems("many", settings, [3], cache) == [] and fingerprint("many", settings, cache) == first
    again = load_index("many", settings, "train", "f", cache)
    assert list(again.image_ids) == list(index.image_ids) == [f"{name}/{i}.jpg" for name in "abc" for i in range(3)]
    assert (again.labels.tolist(), again.class_names) == (index.labels.tolist(), index.class_names)
    assert "has only 3 images" in str(light_problems("many", settings, [4], cache)[0])


def test_a_large_folder_is_listed_again_when_it_changed(many, tmp_path):
    cache, settings = tmp_path / "cache", settings_of(many)
    first = fingerprint("many", settings, cache)
    assert light_problems("many", settings, ["n9"], cache) == []
    load_index("many", settings, "train", "f", cache)
    (many / "train" / "b" / "1.jpg").unlink()
    os.utime(many / "train" / "b", ns=(1, 1))  # a date that differs for certain
    assert "there are 8 images" in str(light_problems("many", settings, ["n9"], cache)[0])
    assert len(load_index("many", settings, "train", "f", cache)) == 8
    assert fingerprint("many", settings, cache) != first


def test_a_large_folder_differs_from_its_resized_copy(many):
    first = fingerprint("many", settings_of(many), None)
    (many / "train" / "a" / "0.jpg").write_bytes(b"smaller")
    assert fingerprint("many", settings_of(many), None) != first


def test_damaged_listings_in_the_cache_are_made_anew(many, tmp_path):
    cache, settings = tmp_path / "cache", settings_of(many)
    load_index("many", settings, "train", "f", cache)
    (kept,) = cache.glob("listing-train-*.npz")
    for damage in (b"", kept.read_bytes()[:200]):
        kept.write_bytes(damage)
        assert len(load_index("many", settings, "train", "f", cache)) == 9


def test_images_of_a_large_folder_are_not_decoded_ahead(many, tmp_path):
    assert deep_problems("many", settings_of(many), tmp_path / "cache") == []


def test_declared_numbers_are_checked(folder):
    settings = replace(settings_of(folder), classes=3, images=6)
    (problem,) = light_problems("imagenet", settings, ["all"])
    assert "number of classes is not the declared one" in str(problem) and "1,281,167" in str(problem)
    (problem,) = light_problems("mine", replace(settings, classes=2, images=7), ["all"])
    assert "number of training images is not the declared one" in str(problem) and "found:    6" in str(problem)
    assert light_problems("mine", replace(settings, classes=2), ["all"]) == []


def test_a_data_set_without_a_root_is_known_by_its_numbers():
    settings = DatasetSettings("imagefolder", classes=10, images=105)
    problems = light_problems("image-net", settings, ["10", "all", "c10", "n105"])
    assert [p.what for p in problems] == [NO_ROOT] and "export IMAGE_NET_ROOT=" in str(problems[0])
    assert has_declared_size(settings) and not has_declared_size(replace(settings, images=None))
    assert fingerprint("x", settings, None) == declared_fingerprint("x", settings)
    assert declared_fingerprint("x", settings) != declared_fingerprint("x", replace(settings, images=106))
    asked = light_problems("x", settings, ["11", "c11", "n106"])
    assert len(asked) == 4 and "(declared)" in str(asked[1])
    for ask in (
        lambda: load_index("x", settings, "train"),
        lambda: fingerprint("x", replace(settings, images=None), None),
    ):
        with pytest.raises(DataError, match="no root"):
            ask()


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=8))
def test_packed_names_are_a_sequence(names):
    packed = pack_names(names)
    assert list(packed) == names and [packed[i] for i in range(len(names))] == names
    assert packed[1:-1] == names[1:-1] and list(join_names([packed, packed])) == names + names
    assert [packed[i - len(names)] for i in range(len(names))] == names
    with pytest.raises(IndexError):
        packed[len(names)]


def test_packed_names_are_unpacked_piece_by_piece(monkeypatch):
    monkeypatch.setattr(packed_names, "CHUNK", 3)
    names = ["a", "", "bc", "é", "", "", "def", "g"]
    for n in range(len(names) + 1):
        assert list(pack_names(names[:n])) == names[:n]


def test_what_a_snakefile_imports_is_light():
    code = (
        "import sys, neuroscaling.datasets.checks, neuroscaling.datasets.index\n"
        "import neuroscaling.study.architectures, neuroscaling.study.recipes, neuroscaling.study.code_fingerprints\n"
        "heavy = {'torch', 'timm', 'sklearn', 'pandas', 'pyarrow', 'xarray', 'scipy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0, result.stderr
