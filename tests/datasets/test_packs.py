"""Packs: the same images in few files, written shard by shard, staged, checked."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from neuroscaling.core.errors import DataError
from neuroscaling.datasets import pack_reading, pack_writing
from neuroscaling.datasets.decode import decode, square
from neuroscaling.datasets.index import open_source
from neuroscaling.datasets.pack_reading import PackSource, open_pack, pack_facts, staged_pack
from neuroscaling.datasets.pack_writing import write_pack
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import SPLITS
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding import sources
from neuroscaling.training.feeding.decoded_images import forget_squares
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.sources import run_source
from neuroscaling.training.feeding.training_feed import open_training_feed, training_pack
from tests.support.photographs import photograph_run, photographs

STORED = 37  # of a network with an input of 32 pixels
RECIPE = {"name": "r", "epochs": 1, "batch_size": 12, "optimizer": "sgd", "learning_rate": 0.1}
CROPS = Recipe.model_validate(RECIPE | {"augmentation": "crop_flip"})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(pack_writing, "SHARD_IMAGES", 7)
    monkeypatch.setattr(pack_writing, "SHARD_BYTES", 7 * STORED**2 * 3)
    forget_squares()


def settings(root, **more):
    return DatasetSettings("imagefolder", root=str(root), **more)


def pack(root, folder, size=STORED, form="jpeg", **more):
    for split in SPLITS:
        write_pack("photographs", settings(root, **more), split, folder, size, form)
    return folder


@pytest.mark.parametrize(("size", "form"), [(STORED, "jpeg"), (None, "jpeg"), (96, "jpeg"), (STORED, "decoded")])
def test_a_pack_has_the_images_of_the_data_set_in_their_order(root, tmp_path, size, form):
    folder = pack(root, tmp_path, size, form)
    for split, n in (("train", 18), ("validation", 6)):
        original, packed = open_source("photographs", settings(root), split), open_pack(folder, split)
        assert len(packed.index) == n
        assert list(packed.index.image_ids) == list(original.index.image_ids)
        assert packed.index.labels.tolist() == original.index.labels.tolist()
        assert packed.index.fingerprint == original.index.fingerprint
        for row in range(n):
            wanted, found = decode(original, row), decode(packed, row)
            if size == STORED:
                assert min(found.shape[1:]) == STORED
                wanted, found = square(wanted, STORED), square(found, STORED)
            assert (wanted.float() - found.float()).abs().mean() < (0.01 if form == "decoded" or size != STORED else 6)
    assert len(pack_facts(folder, "train")["shards"]) == 3


def test_images_that_are_small_keep_their_files(root, tmp_path):
    packed = open_pack(pack(root, tmp_path, 72), "train")
    assert packed.encoded(3) == (root / "train" / packed.index.image_ids[3]).read_bytes()


def test_pixels_are_packed_without_loss(tmp_path):
    packed = open_pack(write_pack("digits", DatasetSettings("digits"), "validation", tmp_path).parent, "validation")
    original = open_source("digits", DatasetSettings("digits"), "validation")
    assert all(np.array_equal(packed.decoded(row), original.decoded(row)) for row in (0, 100))


def test_a_killed_packing_goes_on_where_it_was(root, tmp_path):
    folder = pack(root, tmp_path)
    manifest = folder / "train.json"
    content = manifest.read_bytes()
    manifest.unlink()
    (tmp_path / "train-00001.json").unlink()
    (tmp_path / "train-00002.bin").unlink()
    before = list(tmp_path.glob("*.bin"))
    for path in before:
        os.utime(path, ns=(1, 1))
    pack(root, tmp_path)
    assert manifest.read_bytes() == content
    kept = {path.name for path in before if path.stat().st_mtime_ns == 1}
    assert kept == {"train-00000.bin", "validation-00000.bin"}
    assert not list(tmp_path.glob("*.partial"))


def test_shards_of_another_size_are_not_taken_for_this_one(root, tmp_path):
    pack(root, tmp_path)
    assert min(decode(open_pack(pack(root, tmp_path, 48), "train"), 0).shape[1:]) == 48


def test_corrupt_images_are_named_and_above_the_limit_refused(tmp_path):
    spoilt = photographs(tmp_path / "images") / "train" / "flower" / "02.jpg"
    spoilt.write_bytes(spoilt.read_bytes()[:200])
    with pytest.raises(DataError, match=str(spoilt)):
        pack(tmp_path / "images", tmp_path / "pack")
    folder = pack(tmp_path / "images", tmp_path / "pack", corrupt_limit=1)
    assert pack_facts(folder, "train")["corrupt"] == ["flower/02.jpg"]
    packed = open_pack(folder, "train")
    row = list(packed.index.image_ids).index("flower/02.jpg")
    with pytest.raises(DataError, match=r"flower/02.jpg: image could not be decoded when it was packed"):
        decode(packed, row)


@pytest.mark.parametrize("form", ["jpeg", "decoded"])
def test_an_image_that_took_the_place_of_a_corrupt_one_is_packed(tmp_path, form):
    path = photographs(tmp_path / "images") / "val" / "flower" / "01.jpg"  # of which the fingerprint says nothing
    sound = path.read_bytes()
    path.write_bytes(sound[:200])
    with pytest.raises(DataError, match="1 images can't be decoded"):
        pack(tmp_path / "images", tmp_path / "pack", form=form)
    path.write_bytes(sound)
    packed = open_pack(pack(tmp_path / "images", tmp_path / "pack", form=form), "validation")
    assert decode(packed, 3).any()


def test_files_that_are_missing_or_cut_short_are_all_named(root, tmp_path):
    folder = pack(root, tmp_path)
    (tmp_path / "train-00000.bin").unlink()
    os.truncate(tmp_path / "train-00001.bin", 10)
    with pytest.raises(DataError) as raised:
        open_pack(folder, "train")
    assert "train-00000.bin: file of a pack is missing" in str(raised.value)
    assert "train-00001.bin: file of a pack is cut short" in str(raised.value)


@pytest.mark.parametrize("form", ["jpeg", "decoded"])
def test_every_flip_in_a_pack_is_refused_or_changes_nothing(root, tmp_path, form):
    write_pack("photographs", settings(root), "validation", tmp_path, STORED, form)
    read = PackSource.encoded if form == "jpeg" else PackSource.decoded
    whole = open_pack(tmp_path, "validation")
    images = [bytes(read(whole, row)) for row in range(6)]
    files = [path for path in sorted(tmp_path.iterdir()) if path.name != "validation-00000.json"]
    assert len(files) == 3
    for file in files:
        content = file.read_bytes()
        for at in range(0, len(content), max(len(content) // 60, 1)):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
            try:
                packed = open_pack(tmp_path, "validation")
                assert list(packed.index.image_ids) == list(whole.index.image_ids)
                assert [bytes(read(packed, row)) for row in range(6)] == images, (file, at)
            except DataError as error:
                assert str(tmp_path) in str(error)
            else:
                assert file.suffix in (".json", ".npy"), (file, at)  # white space, filling of the header
        file.write_bytes(content)


def test_an_altered_image_is_named_with_both_sums(root, tmp_path):
    packed = open_pack(pack(root, tmp_path), "train")
    shard = tmp_path / "train-00001.bin"
    content = bytearray(shard.read_bytes())
    content[int(packed.offset[8])] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="image was altered in the pack") as raised:
        decode(open_pack(tmp_path, "train"), 8)
    assert packed.index.image_ids[8] in str(raised.value) and f"{packed.crc32c[8]:08x}" in str(raised.value)
    assert decode(open_pack(tmp_path, "train"), 9).any()


def test_what_a_killed_packing_left_is_swept_and_two_at_once_pack_once(root, tmp_path):
    (tmp_path / ".train-00000.bin.1234.partial").write_bytes(b"of a writer that was killed")
    shards = []
    real = pack_writing._write_files
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(pack_writing, "_write_files", lambda *args: shards.append(args[2].name) or real(*args))
        for made in [pool.submit(write_pack, "photographs", settings(root), "train", tmp_path, STORED) for _ in "ab"]:
            made.result()
    assert len(shards) == 3 and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("form", "size"), [("jpg", 256), ("decoded", None), ("jpeg", 0)])
def test_forms_and_sizes_that_cannot_be_are_refused(root, tmp_path, form, size):
    with pytest.raises(DataError):
        pack(root, tmp_path, size, form)


def fed(root, options):
    run, subset = photograph_run(root, CROPS)
    feed = open_training_feed(run, subset, 32, CROPS, torch.device("cpu"), options)
    (batch,) = feed.batches([Request(0, np.arange(12), slice(0, 12))])
    return batch.views[0]


@pytest.mark.parametrize("resident_gb", [None, 1e-9])
def test_a_run_is_fed_the_same_from_decoded_squares_and_nearly_so_from_jpegs(root, tmp_path, resident_gb):
    files = fed(root, TrainingOptions())
    for form, reach in (("decoded", 0), ("jpeg", 0.15)):
        folder = pack(root, tmp_path / form, STORED, form)
        packed = fed(root, TrainingOptions(packs={"photographs": str(folder)}, resident_gb=resident_gb))
        assert (files - packed).abs().mean() <= reach


def test_crops_of_originals_pass_by_a_pack_of_resized_images(root, tmp_path):
    run, _ = photograph_run(root, CROPS)
    resized, whole = pack(root, tmp_path / "a"), pack(root, tmp_path / "b", None)
    for folder, smallest, taken in (
        (resized, None, False),
        (whole, None, True),
        (resized, STORED, True),
        (resized, 38, False),
    ):
        source = run_source(run, "train", smallest, TrainingOptions(packs={"photographs": str(folder)}))
        assert hasattr(source, "shards") == taken


@pytest.mark.parametrize(
    ("size", "crops", "read"), [(37, "stored", True), (38, "stored", False), (None, "originals", True)]
)
def test_a_record_names_the_pack_that_was_read_and_no_other(root, tmp_path, size, crops, read, caplog, monkeypatch):
    monkeypatch.setattr(sources, "_opened", {})
    caplog.set_level("INFO")
    options = TrainingOptions(packs={"photographs": str(pack(root, tmp_path / "jpeg-x", STORED if size else None))})
    recipe = Recipe.model_validate(RECIPE | {"augmentation": "crop_flip", "crops": crops})
    run, subset = photograph_run(root, recipe)
    open_training_feed(run, subset, round((size or STORED) * 224 / 256), recipe, torch.device("cpu"), options)
    found = training_pack(run, round((size or STORED) * 224 / 256), recipe, options)
    assert (found is not None and found.name == "jpeg-x") == read
    assert ("its pack has not images of 38 pixels" in caplog.text) == (not read)


def test_a_pack_of_other_images_is_refused(root, tmp_path):
    other = photographs(tmp_path / "other", per_class=4)
    folder = pack(other, tmp_path / "pack")
    run, _ = photograph_run(root, CROPS)
    with pytest.raises(DataError, match="the pack is of other images than the run's"):
        run_source(run, "train", STORED, TrainingOptions(packs={"photographs": str(folder)}))


def test_a_pack_is_staged_once_by_processes_that_start_together(root, tmp_path, monkeypatch):
    folder = pack(root, tmp_path / "pack")
    copies = []
    real = pack_reading._copy
    monkeypatch.setattr(pack_reading, "_copy", lambda *args: copies.append(args[1].name) or real(*args))
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: staged_pack(folder, "train", "disk", tmp_path / "scratch"), range(4)))
    (copy,) = found
    assert copy.is_relative_to(tmp_path / "scratch")
    assert len(copies) == len(set(copies)) == 4  # the index and three shards
    assert open_pack(copy, "train").encoded(5) == open_pack(folder, "train").encoded(5)
    assert staged_pack(folder, "train", "none", None) == folder


def test_what_is_missing_of_a_staged_copy_is_copied_again(root, tmp_path):
    folder = pack(root, tmp_path / "pack")
    copy = staged_pack(folder, "train", "disk", tmp_path / "scratch")
    assert copy.parent == tmp_path / "scratch" / f"neuroscaling-{os.getuid()}"  # others of the node have their own
    (copy / "train-00001.bin").unlink()  # as what clears a node's disk does
    (copy / ".train-00001.bin.0.partial").write_bytes(b"of a job that was killed")
    assert open_pack(staged_pack(folder, "train", "disk", tmp_path / "scratch"), "train").encoded(7)
    assert not list(copy.glob(".*"))


def test_a_damaged_shard_is_not_staged(root, tmp_path):
    folder = pack(root, tmp_path / "pack")
    shard = tmp_path / "pack" / "train-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"train-00001.bin: file of a pack is damaged"):
        staged_pack(folder, "train", "disk", tmp_path / "scratch")


def test_a_pack_is_read_where_it_is_when_there_is_no_room(root, tmp_path, monkeypatch, caplog):
    folder = pack(root, tmp_path / "pack")
    monkeypatch.setattr(pack_reading.shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    assert staged_pack(folder, "train", "disk", tmp_path / "scratch") == folder
    assert "no room" in caplog.text


def test_a_copy_in_memory_leaves_a_slurm_job_the_memory_to_train(root, tmp_path, monkeypatch, caplog):
    folder = pack(root, tmp_path / "pack")
    monkeypatch.setattr(pack_reading, "MEMORY_FOLDER", tmp_path / "shm")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2000")
    assert staged_pack(folder, "train", "disk", tmp_path / "scratch") != folder
    assert staged_pack(folder, "train", "memory", None) == folder and "no room" in caplog.text
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "4000")
    assert staged_pack(folder, "train", "memory", None).is_relative_to(tmp_path / "shm")


def test_the_command_packs_a_data_set_of_a_study_into_its_store(tmp_path, capsys):
    from neuroscaling.cli.main import main

    root = photographs(tmp_path / "images")
    study = tmp_path / "study.yaml"
    text = yaml.safe_dump(
        {
            "study": "s",
            "store": str(tmp_path / "store"),
            "datasets": {
                "photographs": settings(root).content(),
                "elsewhere": {"format": "imagefolder", "root": "", "classes": 2, "images": 10},
            },
            "runs": [
                {
                    "archs": ["resnet18"],
                    "datasets": ["photographs"],
                    "recipe": "digits",
                    "samples_per_class": [1],
                    "seeds": [0],
                }
            ],
        }
    )
    study.write_text(text)
    for size in ("3", "-1", "9" * 5000, "²", "10001"):  # as the study file's `size` has it
        assert main(["data", "pack", str(study), "photographs", "--size", size]) == 1
        assert "from 8 to 10,000" in capsys.readouterr().err
    assert main(["data", "pack", str(study), "photographs", "--size", "48"]) == 0
    train, validation = capsys.readouterr().out.splitlines()
    assert train.startswith(f"{tmp_path}/store/packs/photographs-")
    assert len(open_pack(Path(validation).parent, "validation").index) == 6
    assert main(["data", "pack", str(study), "photograph"]) == 1
    assert main(["data", "pack", str(study), "elsewhere"]) == 1
    shown = capsys.readouterr().err
    assert "nearest:  photographs" in shown and "dataset elsewhere: root: no root" in shown
