"""Corrupt images: named, counted, replaced up to a limit by the next of their class, and refused above it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import read_json
from neuroscaling.datasets.subset_file import read_subset
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding.decoded_images import forget_squares
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.sources import Subset
from neuroscaling.training.feeding.training_feed import open_training_feed
from neuroscaling.training.feeding.validation import forget_validation, open_validation
from neuroscaling.training.setup import make_steps
from tests.support.photographs import photograph_run, photographs

CPU = torch.device("cpu")
ALL = [Request(0, np.arange(18), slice(0, 18))]


@pytest.fixture(autouse=True)
def _forget():
    forget_squares()
    forget_validation()


def recipe(**keys) -> Recipe:
    base = {"name": "r", "epochs": 1, "batch_size": 18, "optimizer": "sgd", "learning_rate": 0.1}
    return Recipe.model_validate(base | keys)


WAYS = {"resident": recipe(), "streamed": recipe(augmentation="crop_flip", crops="originals")}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-600])


def spoil(root: Path, split: str = "train") -> tuple[Path, Path]:
    paths = root / split / "flower" / "01.jpg", root / split / "mixed" / "00.jpg"
    cut_short(paths[0])
    paths[1].write_bytes(b"not an image")
    return paths


def feed_of(root, way, workers=0, **settings):
    run, subset = photograph_run(root, WAYS[way], k=6, **settings)
    return open_training_feed(run, subset, 32, WAYS[way], CPU, TrainingOptions(workers=workers))


@pytest.mark.parametrize("way", WAYS)
def test_none_is_accepted_by_default_and_all_so_far_are_named(tmp_path, way):
    paths = spoil(photographs(tmp_path))
    with pytest.raises(DataError) as raised:
        list(feed_of(tmp_path, way).batches(ALL))
    assert "2 images can't be decoded" in str(raised.value)
    assert "corrupt_limit: 0" in str(raised.value)
    assert all(str(path) in str(raised.value) for path in paths)


@pytest.mark.parametrize("way", WAYS)
def test_up_to_the_limit_the_next_of_the_class_takes_the_place(tmp_path, way):
    spoil(photographs(tmp_path))
    feed = feed_of(tmp_path, way, corrupt_limit=2)
    (batch,) = feed.batches(ALL)
    assert feed.corrupt == ["flower/01.jpg", "mixed/00.jpg"]
    assert torch.bincount(batch.labels).tolist() == [6, 6, 6]
    assert batch.views[0].isfinite().all()
    if way == "resident":
        images = batch.views[0]
        assert torch.equal(images[7], images[8])
        assert torch.equal(images[12], images[13])
        assert not torch.equal(images[6], images[8])


@pytest.mark.parametrize(("way", "workers"), [("resident", 0), ("streamed", 0), ("streamed", 1)])
def test_a_class_without_a_sound_image_is_refused(tmp_path, way, workers):
    photographs(tmp_path)
    for path in (tmp_path / "train" / "china").iterdir():
        cut_short(path)
    with pytest.raises(DataError, match="all images of a class are corrupt"):
        list(feed_of(tmp_path, way, workers, corrupt_limit=10).batches(ALL))


def test_the_last_of_a_class_is_replaced_by_its_first():
    subset = Subset(np.array([5, 6, 7, 8]), np.array([0, 1, 0, 1]))
    assert subset.sound({7, 6}).tolist() == [0, 3, 0, 3]
    assert list(subset.alternatives(3)) == [3, 1]


def test_what_was_found_before_an_interruption_is_in_the_record(tmp_path, monkeypatch):
    from neuroscaling.training import loop, train

    photographs(tmp_path)
    wanted = WAYS["streamed"].model_copy(update={"batch_size": 6})
    run, subset = photograph_run(tmp_path, wanted, k=6, corrupt_limit=1)
    run = replace(run, arch="resnet_w4", kind="trained", family="ResNet", start=None)
    first = read_subset(subset)[0]["image_id"][make_steps(run, wanted, 18).rows(0)[0]]
    cut_short(tmp_path / "train" / first)
    take = loop._take

    def interrupted(training, request, batch):
        if request.step == 2:
            raise KeyboardInterrupt
        take(training, request, batch)

    monkeypatch.setattr(loop, "_take", interrupted)
    options = TrainingOptions(device="cpu", checkpoint_steps=1)
    with pytest.raises(KeyboardInterrupt):
        train.train(RunJob(run, subset, tmp_path / "run"), options)
    monkeypatch.setattr(loop, "_take", take)
    train.train(RunJob(run, subset, tmp_path / "run"), options)
    assert read_json(tmp_path / "run" / "run.json")["corrupt"] == [first]


def test_corrupt_validation_images_are_refused_or_left_out(tmp_path, caplog):
    spoil(photographs(tmp_path), "val")
    run, _ = photograph_run(tmp_path, WAYS["resident"])
    with pytest.raises(DataError, match="2 images can't be decoded"):
        open_validation(run, 32, WAYS["resident"], CPU, TrainingOptions())
    allowed = replace(run, dataset_settings=replace(run.images.settings, corrupt_limit=2))
    validation = open_validation(allowed, 32, WAYS["resident"], CPU, TrainingOptions(scratch=str(tmp_path / "scratch")))
    assert torch.cat([labels for _, labels in validation.chunks(2)]).tolist() == [0, 0, 1, 2]
    assert "2 validation images can't be decoded" in caplog.text and "flower/01.jpg" in caplog.text
    assert not list((tmp_path / "scratch").iterdir())  # what is left of a damaged set is not kept for others
