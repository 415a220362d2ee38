"""What a run is fed: the same images and changes whichever way they come, on how many processes, and after a break."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from neuroscaling.core.errors import DataError
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding.decoded_images import forget_squares
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.training_feed import open_training_feed
from neuroscaling.training.feeding.validation import forget_validation, open_validation
from tests.support.photographs import photograph_run, photographs

CPU = torch.device("cpu")
DEFAULTS = TrainingOptions()
SIZE = 32
FULL = {"color_jitter": 0.4, "color_jitter_hue": 0.1, "random_erasing": 0.5}
SSL = {"warmup_epochs": 1, "crops": "stored"}


def recipe(**keys) -> Recipe:
    base = {"name": "r", "epochs": 4, "batch_size": 8, "optimizer": "sgd", "learning_rate": 0.1}
    return Recipe.model_validate(base | {"augmentation": "crop_flip"} | keys)


RECIPES = {
    "crop_flip": recipe(),
    "shift": recipe(augmentation="shift"),
    "none": recipe(augmentation="none"),
    "colours": recipe(**FULL),
    "originals": recipe(crops="originals", **FULL),
    "policy": recipe(auto_augment="rand-m9-mstd0.5-inc1", random_erasing=0.25),
    "three": recipe(auto_augment="3a", color_jitter=0.3),
    "originals with policy": recipe(crops="originals", auto_augment="3a"),
    "simclr": recipe(objective="simclr", augmentation="none"),
    "dino": recipe(objective="dino", augmentation="none"),
    "dino of originals": recipe(objective="dino", augmentation="none", crops="originals"),
}
STEPS = [Request(step, np.array(rows), slice(0, 5)) for step, rows in enumerate(([0, 7, 3, 11, 2], [4, 4, 9, 1, 5]))]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(autouse=True)
def _forget():
    forget_squares()
    forget_validation()


def fed(root, name, requests=STEPS, **options):
    run, subset = photograph_run(root, RECIPES[name])
    feed = open_training_feed(run, subset, SIZE, RECIPES[name], CPU, TrainingOptions(**options))
    batches = list(feed.batches(requests))
    feed.close()
    return batches


@pytest.mark.parametrize("name", RECIPES)
def test_views_have_the_sizes_of_the_objective_and_plausible_values(root, name):
    for batch in fed(root, name):
        sizes = [SIZE, SIZE, *[view.shape[-1] for view in batch.views[2:]]] if "dino" in name else [SIZE] * 2
        assert [view.shape[1:] for view in batch.views] == [(3, s, s) for s in sizes[: len(batch.views)]]
        assert all(
            view.dtype == torch.float32 and view.is_contiguous(memory_format=torch.channels_last)
            for view in batch.views
        )
        assert all(view.isfinite().all() and 0.2 < view.std() < 2.5 for view in batch.views)
        assert len(batch.labels) == 5
    assert len(fed(root, name)[0].views) == {"simclr": 2}.get(name, 10 if "dino" in name else 1)


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_depends_on_its_request_alone(root, name):
    first, second = fed(root, name)
    forget_squares()
    (again,) = fed(root, name, STEPS[1:])
    assert all(torch.equal(a, b) for a, b in zip(second.views, again.views, strict=True))
    assert torch.equal(second.labels, again.labels)
    assert not torch.equal(first.views[0], second.views[0])


@pytest.mark.parametrize("name", ["crop_flip", "shift", "colours", "originals", "policy", "simclr", "dino"])
def test_two_processes_are_fed_the_halves_of_one_ones_batch(root, name):
    whole = fed(root, name)[1]
    parts = [fed(root, name, [Request(1, STEPS[1].rows, mine)])[0] for mine in (slice(0, 2), slice(2, 5))]
    for view, halves in zip(whole.views, zip(*(part.views for part in parts), strict=True), strict=True):
        assert torch.allclose(view, torch.cat(halves), atol=1e-6)
    assert torch.equal(whole.labels, torch.cat([part.labels for part in parts]))


@pytest.mark.parametrize("name", ["colours", "originals", "policy", "dino"])
def test_repeated_images_are_changed_anew(root, name):
    batch = fed(root, name)[1]  # its first two images are one
    assert batch.labels[0] == batch.labels[1]
    assert not torch.equal(batch.views[0][0], batch.views[0][1])


@pytest.mark.parametrize("name", ["originals", "policy", "dino of originals"])
def test_worker_processes_feed_what_this_process_would(root, name):
    alone, helped = fed(root, name), fed(root, name, workers=2)
    for one, other in zip(alone, helped, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.views, other.views, strict=True))


def test_workers_go_on_when_a_pass_was_left_early(root):
    run, subset = photograph_run(root, RECIPES["originals"])
    feed = open_training_feed(run, subset, SIZE, RECIPES["originals"], CPU, TrainingOptions(workers=1))
    next(iter(feed.batches(STEPS * 4)))
    again = list(feed.batches(STEPS))
    feed.close()
    assert all(torch.equal(a.views[0], b.views[0]) for a, b in zip(again, fed(root, "originals"), strict=True))


@pytest.mark.parametrize("name", ["crop_flip", "shift", "simclr"])
def test_squares_that_do_not_fit_are_decoded_for_each_step(root, name):
    resident, streamed = fed(root, name), fed(root, name, resident_gb=1e-9)
    for one, other in zip(resident, streamed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.views, other.views, strict=True))


def test_the_random_states_of_the_process_are_left_alone(root):
    import random

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    wanted = random.random(), np.random.rand(), torch.rand(1)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    for name in ("colours", "policy", "originals with policy"):
        fed(root, name)
    assert (random.random(), np.random.rand()) == wanted[:2]
    assert torch.equal(torch.rand(1), wanted[2])


def test_seeds_of_runs_change_what_they_are_fed(root):
    run, subset = photograph_run(root, RECIPES["crop_flip"])
    open_feed = partial(open_training_feed, size=SIZE, recipe=RECIPES["crop_flip"], device=CPU, options=DEFAULTS)
    feeds = [open_feed(replace(run, seed=s), subset) for s in (3, 4)]
    one, other = (next(iter(feed.batches(STEPS))).views[0] for feed in feeds)
    assert not torch.equal(one, other)


def test_runs_of_one_process_share_decoded_images(root, monkeypatch):
    from neuroscaling.datasets import decode
    from neuroscaling.training.feeding import decoded_images

    decoded = []
    real = decode.decode_into
    monkeypatch.setattr(decoded_images, "decode_into", lambda out, *args: decoded.append(len(out)) or real(out, *args))
    for k in (2, 4, 3):
        run, subset = photograph_run(root, RECIPES["none"], k)
        feed = open_training_feed(run, subset, SIZE, RECIPES["none"], CPU, DEFAULTS)
        batch = next(iter(feed.batches([Request(0, np.arange(3 * k), slice(0, 3 * k))])))
        assert torch.bincount(batch.labels).tolist() == [k] * 3
    assert decoded == [6, 6]  # the subsets are nested: the second run adds what it needs, the third nothing


def test_a_subset_of_other_images_is_refused(root):
    run, subset = photograph_run(root, RECIPES["none"])
    open_feed = partial(open_training_feed, size=SIZE, recipe=RECIPES["none"], device=CPU, options=TrainingOptions())
    with pytest.raises(DataError, match="samples_per_class is not the run's"):
        open_feed(replace(run, samples_per_class=5), subset)
    with pytest.raises(DataError, match="fingerprint is not the run's"):
        open_feed(replace(run, fingerprint="0" * 8), subset)


@pytest.mark.parametrize(("resize", "offset"), [("short_side", 0), ("squash", 1)])
def test_validation_images_are_resized_and_cut_at_the_centre(root, resize, offset):
    from PIL import Image

    wanted = recipe(validation_resize=resize)
    run, _ = photograph_run(root, wanted)
    validation = open_validation(run, SIZE, wanted, CPU, DEFAULTS)
    pixels, labels = next(validation.chunks(4))
    picture = Image.open(root / "val" / "china" / "00.jpg")
    to = (37, 37) if resize == "squash" else (round(37 * 96 / 72), 37)
    left, top = ((side - SIZE) // 2 for side in to)
    cut = picture.resize(to, Image.Resampling.BILINEAR).crop((left, top, left + SIZE, top + SIZE))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((torch.from_numpy(np.array(cut)) / 255 - mean) / std).permute(2, 0, 1)
    assert (pixels[0] - expected).abs().mean() < 0.02  # PIL and torch round differently
    assert labels.tolist() == [0, 0, 1, 1]
    assert validation.n_images == 6


def test_validation_is_decoded_once_for_a_process_and_once_for_a_machine(root, tmp_path, monkeypatch):
    from neuroscaling.training.feeding import validation as feeding_validation

    run, _ = photograph_run(root, RECIPES["none"])
    options = TrainingOptions(scratch=str(tmp_path))
    first = open_validation(run, SIZE, RECIPES["none"], CPU, options)
    assert open_validation(replace(run, seed=9), SIZE, RECIPES["none"], CPU, options) is first
    forget_validation()
    monkeypatch.setattr(feeding_validation, "decode_into", None)  # what is kept on the disk is enough
    second = open_validation(run, SIZE, RECIPES["none"], CPU, options)
    for one, other in zip(first.chunks(4), second.chunks(4), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_decoded_validation_images_of_other_files_are_not_taken(tmp_path):
    from PIL import Image

    run, _ = photograph_run(photographs(tmp_path / "images"), RECIPES["none"])
    options = TrainingOptions(scratch=str(tmp_path / "scratch"))
    open_validation(run, SIZE, RECIPES["none"], CPU, options)
    forget_validation()
    Image.new("RGB", (96, 72)).save(tmp_path / "images" / "val" / "china" / "00.jpg")
    pixels, _ = next(open_validation(run, SIZE, RECIPES["none"], CPU, options).chunks(2))
    assert pixels[0].std() < 0.3 < pixels[1].std()


def test_validation_of_some_classes_has_their_positions_as_labels(root):
    run, _ = photograph_run(root, RECIPES["none"])
    some = open_validation(run, SIZE, RECIPES["none"], CPU, TrainingOptions(), ["mixed", "china"])
    assert torch.cat([labels for _, labels in some.chunks(3)]).tolist() == [1, 1, 0, 0]


def test_a_large_data_set_is_listed_once_for_all_runs(root, tmp_path, monkeypatch):
    from neuroscaling.datasets import format_folders, image_listing
    from neuroscaling.training.setup import _check_classes

    run, _ = photograph_run(root, RECIPES["none"])
    monkeypatch.setattr(image_listing, "FILES_LOOKED_AT", 5)
    _check_classes(run, TrainingOptions(cache_dir=str(tmp_path)))
    monkeypatch.setattr(format_folders, "read_folders", None)
    _check_classes(run, TrainingOptions(cache_dir=str(tmp_path)))
