"""Batches, and runs of every kind; the networks are small and the images real digits."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import LeaseLost, lock_of
from neuroscaling.core.records import checked_weights, read_run, sealed
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.models.build import build
from neuroscaling.models.cost import count
from neuroscaling.models.weights import load_weights, save_weights
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training import checkpoints
from neuroscaling.training.checkpoints import load_state, save_state
from neuroscaling.training.evaluation import evaluate
from neuroscaling.training.feeding.validation import open_validation
from neuroscaling.training.schedule import batch_slices, epoch_order
from neuroscaling.training.supervised_objectives import Supervised
from neuroscaling.training.train import train
from tests.support.digit_runs import digit_run, digit_subset

pytestmark = pytest.mark.usefixtures("one_thread")


def untrained(**changes):
    return replace(digit_run(), **{"kind": "untrained", "samples_per_class": 0, "recipe": None} | changes)


# Schedules and batches


def test_every_image_is_used_once_an_epoch_and_no_batch_has_one_image():
    for n, size in ((10, 64), (129, 64), (128, 64), (130, 64), (1, 64), (6, 5), (16, 15)):
        order = epoch_order(0, 1, n)
        assert sorted(np.concatenate([order[rows] for rows in batch_slices(n, size)])) == list(range(n))
        assert n == 1 or min(rows.stop - rows.start for rows in batch_slices(n, size)) > 1


def test_order_depends_on_seed_and_epoch():
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(1, 4)}
    assert len(orders) == 9 and tuple(epoch_order(1, 2, 50)) in orders


# Runs


def test_training_learns_and_writes_what_the_format_says(tmp_path):
    run = digit_run(k=30)
    train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    history = pq.read_table(tmp_path / "run" / "history.parquet").to_pydict()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "history.parquet",
        "run.json",
        "weights-ep4.safetensors",
    ]
    assert history["epoch"] == [0, 1, 2, 3, 4] and history["images_seen"] == [0, 300, 600, 900, 1200]
    assert history["step"] == [0, 5, 10, 15, 20]
    assert history["train_loss"][4] < 0.5 * history["train_loss"][1]
    assert history["val_accuracy"][4] > 0.4  # .64 here; .1 by chance, and rounding moves some of 359 images
    assert record["acc"] == history["val_accuracy"][4] and record["n_classes"] == 10
    assert (record["n_samples"], record["n_epochs"], record["n_samples_seen"]) == (300, 4, 1200)
    assert record["macs"] == count("resnet_w8")["macs"] and record["flops"] == 2 * record["macs"]
    assert record["total_flops"] == 3 * record["flops"] * 1200 and record["image_passes"] == 1
    assert (record["format"], record["status"], record["acc_kind"]) == ("run/3", "done", "top1")
    assert record["checkpoints"] == [
        {"epoch": 4, "file": "weights-ep4.safetensors", "sha256": record["weights_sha256"]}
    ]
    assert record["weights_sha256"] == file_sha256(tmp_path / "run" / "weights-ep4.safetensors")
    assert record["history_sha256"] == file_sha256(tmp_path / "run" / "history.parquet")
    assert record["made_from"] == {
        f"subsets/{tmp_path.name}/30-s0.parquet": f"sha256:{file_sha256(tmp_path / '30-s0.parquet')}"
    }
    assert len(record["provenance"]["epoch_seconds"]) == 5
    assert record == sealed(read_run(tmp_path / "run" / "run.json").content())
    load_weights(build("resnet_w8", 10, 9), tmp_path / "run" / "weights-ep4.safetensors", "resnet_w8")


@pytest.mark.parametrize("arch, augmentation", [("resnet_w8", "shift"), ("vit_w16", "none")])
def test_equal_settings_give_equal_weights_and_other_seeds_do_not(tmp_path, arch, augmentation):
    run, other = digit_run(arch, augmentation=augmentation), digit_run(arch, seed=1, augmentation=augmentation)
    subset = digit_subset(tmp_path, run)
    for name, settings, images in (("a", run, subset), ("b", run, subset), ("c", other, digit_subset(tmp_path, other))):
        torch.manual_seed(ord(name))
        train(RunJob(settings, images, tmp_path / name))
    first, again, third = (file_sha256(tmp_path / name / "weights-ep4.safetensors") for name in "abc")
    assert first == again != third


def test_photographs_are_trained_on_with_random_crops(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 8), ("val", 4)):
        for label, brightness in (("dark", 60), ("light", 190)):
            (tmp_path / "pets" / split / label).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(brightness - 50, brightness + 50, (48, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / split / label / f"{i}.png")
    settings = DatasetSettings("imagefolder", root=str(tmp_path / "pets"))
    index = load_index("pets", settings, "train")
    write_subset(tmp_path / "4.parquet", index, draw(index, 4, 0), 4, 0)
    run = digit_run(k=4, epochs=12, augmentation="crop_flip", precision="bf16")
    run = replace(run, dataset="pets", dataset_settings=settings, fingerprint=index.fingerprint)
    train(RunJob(run, tmp_path / "4.parquet", tmp_path / "run"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["acc"] == 1.0 and record["n_classes"] == 2 and record["n_samples"] == 8
    (tmp_path / "pets" / "val" / "dark").rename(tmp_path / "pets" / "val" / "dim")
    with pytest.raises(DataError, match="different classes") as caught:
        train(RunJob(run, tmp_path / "4.parquet", tmp_path / "again"))
    assert "dark, dim" in str(caught.value)
    (tmp_path / "pets" / "val" / "dim").rename(tmp_path / "pets" / "val" / "dark")
    (tmp_path / "pets" / "train" / "dark" / "0.png").rename(tmp_path / "pets" / "train" / "dark" / "9.png")
    with pytest.raises(DataError, match="not where they were"):
        train(RunJob(run, tmp_path / "4.parquet", tmp_path / "again"))


def test_a_run_that_is_there_is_left_as_it_is_and_made_again_for_deleted_weights(tmp_path, caplog):
    run = digit_run(epochs=1)
    subset, weights = digit_subset(tmp_path, run), tmp_path / "run" / "weights-ep1.safetensors"
    train(RunJob(run, subset, tmp_path / "run"))
    files = sorted((tmp_path / "run").iterdir())
    contents, times = [path.read_bytes() for path in files], [path.stat().st_mtime_ns for path in files]
    train(RunJob(run, tmp_path / "nowhere.parquet", tmp_path / "run"))
    assert [path.stat().st_mtime_ns for path in files] == times
    weights.unlink()
    train(RunJob(run, subset, tmp_path / "run"))
    assert sorted((tmp_path / "run").iterdir()) == files and [path.read_bytes() for path in files] == contents
    weights.unlink()
    other = run.recipe.model_copy(update={"learning_rate": 0.002})  # for weights that differ, as another GPU's sums do
    train(RunJob(replace(run, recipe=other), subset, tmp_path / "run"))
    assert "came out otherwise: " in caplog.text and "weights_sha256" in caplog.text
    assert checked_weights(tmp_path / "run") == weights


def test_equal_runs_differ_in_their_making_alone(tmp_path):
    run = digit_run(epochs=2)
    subset = digit_subset(tmp_path, run)
    for name in "ab":
        train(RunJob(run, subset, tmp_path / name))
    first, second = (sealed(read_run(tmp_path / name / "run.json").content()) for name in "ab")
    assert first.keys() == second.keys()
    # At most: two trainings may take the same milliseconds, and then their records are equal.
    assert {key for key in first if first[key] != second[key]} <= {"checksum", "provenance"}


def test_an_altered_record_is_told_and_nothing_made_anew(tmp_path):
    run = digit_run(epochs=1)
    train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"))
    path = tmp_path / "run" / "run.json"
    path.write_text(path.read_text().replace('"acc"', '"acd"'))
    with pytest.raises(DataError, match="altered"):
        train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"))


def test_a_training_whose_lease_was_taken_over_stops_and_writes_nothing(tmp_path, monkeypatch):
    """It was suspended, say, and another process took it for dead: two would write to one folder."""
    run, out = digit_run(epochs=50), tmp_path / "run"
    saved = checkpoints.save_state

    def taken_over_after(folder, step, state):
        saved(folder, step, state)
        lock_of(out).write_text(lock_of(out).read_text().replace('"token": "', '"token": "another'))

    monkeypatch.setattr(checkpoints, "save_state", taken_over_after)
    with pytest.raises(LeaseLost, match="took its lease"):
        train(RunJob(run, digit_subset(tmp_path, run), out), TrainingOptions(checkpoint_steps=5))
    left = {path.name for path in out.rglob("*") if path.is_file()}
    seen_before = {"progress.json", "history.parquet"}  # of the second before, on a busy machine
    assert left - seen_before == {"step-000000000005.state"}
    assert lock_of(out).is_file()


def test_a_run_does_not_start_from_other_weights_than_its_base_tells_of(tmp_path):
    base = digit_run(epochs=1)
    run = replace(digit_run(name="-next", epochs=1), start=base.run)
    subset = digit_subset(tmp_path, base)
    train(RunJob(base, subset, tmp_path / "base"))
    train(RunJob(replace(base, seed=3), subset, tmp_path / "other"))
    name = "weights-ep1.safetensors"
    shutil.copyfile(tmp_path / "other" / name, tmp_path / "base" / name)
    with pytest.raises(DataError, match="the weights are not those"):
        train(RunJob(run, subset, tmp_path / "run", tmp_path / "base"))


def test_a_run_that_diverges_is_marked_failed_with_the_place(tmp_path):
    run = digit_run(optimizer="sgd", learning_rate=1e30, warmup_epochs=0)
    problem = train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"), TrainingOptions(nan_steps=3))
    assert "epoch 1, step 2, learning rate 9.505e+29" in problem
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["step"], record["weights"]) == ("failed", 2, None) and "finite" in record[
        "problem"
    ]
    assert record["learning_rate"] == pytest.approx(9.505e29, rel=1e-3) and len(set(record["batch"])) == 36
    assert not list((tmp_path / "run").glob("weights*"))
    before = (tmp_path / "run" / "run.json").stat().st_mtime_ns
    assert train(RunJob(run, tmp_path / "nowhere.parquet", tmp_path / "run")) is None  # it would fail again
    assert (tmp_path / "run" / "run.json").stat().st_mtime_ns == before


def test_a_run_that_diverges_keeps_its_last_sound_state(tmp_path):
    run = digit_run(optimizer="sgd", learning_rate=1e30, warmup_epochs=2, epochs=6)
    train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"), TrainingOptions(checkpoint_steps=1))
    states = sorted((tmp_path / "run" / "state").glob("step-*"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert states and int(states[-1].stem.removeprefix("step-")) == record["step"] - 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_follows_full_precision(tmp_path, precision):
    losses = {}
    for name in ("fp32", precision):
        run = digit_run(k=10, precision=name)
        train(RunJob(run, digit_subset(tmp_path, run), tmp_path / name))
        losses[name] = pq.read_table(tmp_path / name / "history.parquet")["train_loss"].to_pylist()[1:]
    assert losses[precision] != losses["fp32"]
    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.1)


def test_gradients_of_micro_batches_add_up_to_those_of_the_batch(tmp_path):
    losses = []
    for micro_batch in (None, 16):
        run = digit_run("vit_w16", k=10, optimizer="sgd", micro_batch=micro_batch, gradient_clip=1.0)
        train(RunJob(run, digit_subset(tmp_path, run), tmp_path / str(micro_batch)))
        losses.append(pq.read_table(tmp_path / str(micro_batch) / "history.parquet")["train_loss"].to_pylist()[1:])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0][-1] < losses[0][0]


def test_the_moving_average_is_what_is_kept_and_evaluated(tmp_path):
    run = digit_run(k=10, ema=0.5, checkpoints="published", evaluations="published", epochs=3)
    train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"))
    plain = digit_run(k=10, epochs=3, name="-plain")
    train(RunJob(plain, digit_subset(tmp_path, plain), tmp_path / "plain"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    histories = [pq.read_table(tmp_path / name / "history.parquet").to_pydict() for name in ("run", "plain")]
    assert [kept["epoch"] for kept in record["checkpoints"]] == [1, 2, 3]
    assert histories[0]["train_loss"] == histories[1]["train_loss"]
    assert histories[0]["val_loss"][3] != histories[1]["val_loss"][3] and None not in histories[0]["val_loss"]
    model = build("resnet_w8", 10, 0)
    load_weights(model, tmp_path / "run" / record["weights"], "resnet_w8")
    validation = open_validation(run, 32, run.recipe, torch.device("cpu"), TrainingOptions())
    assert evaluate(model, validation, "fp32", torch.device("cpu"))[1] == record["acc"]


def test_images_really_seen_are_counted_beside_the_nominal_number(tmp_path):
    run = digit_run(k=30, epochs=2, repeated_augmentation=3, drop_last=True, batch_size=100, warmup_epochs=0)
    train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    # Of 300 images an epoch of repeated augmentation takes 256, of which two batches are whole.
    assert (record["n_samples_seen"], record["n_samples_nominal"]) == (400, 600)
    assert record["total_flops"] == 3 * record["flops"] * 400


@pytest.mark.parametrize("recipe, k", [("digits_simclr", 20), ("digits_dino", 30), ("digits_ffgsm", 10)])
def test_the_other_objectives_train_with_falling_loss_and_a_score(tmp_path, recipe, k):
    base = digit_run(k=k, epochs=2)
    run = digit_run(k=k, recipe=recipe, name=f"-{recipe}", epochs=4)
    if run.recipe.objective == "adversarial":
        train(RunJob(base, digit_subset(tmp_path, base), tmp_path / "base"))
        run = replace(run, start=base.run)
    train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run", tmp_path / "base"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    losses = pq.read_table(tmp_path / "run" / "history.parquet")["train_loss"].to_pylist()
    assert losses[-1] < losses[1] and 0.1 < record["acc"] <= 1
    assert record["acc_kind"] == ("top1" if run.start else "knn")
    load_weights(build("resnet_w8", 10, 1), tmp_path / "run" / record["weights"], "resnet_w8")


def test_a_network_that_is_too_large_for_a_gpu_is_named_with_its_images(tmp_path, monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Supervised, "forward", refuse)
    run = digit_run(micro_batch=16)
    with pytest.raises(DataError, match=r"(?s)memory of cpu does not suffice.*16 images of resnet_w8 at once"):
        train(RunJob(run, digit_subset(tmp_path, run), tmp_path / "run"))


def test_a_subset_of_other_images_is_refused(tmp_path):
    run = digit_run()
    subset = digit_subset(tmp_path, run)
    with pytest.raises(DataError, match="fingerprint is not the run's"):
        train(RunJob(replace(run, fingerprint="ffffffff"), subset, tmp_path / "run"))
    with pytest.raises(DataError, match="samples_per_class is not the run's"):
        train(RunJob(replace(run, samples_per_class=3), subset, tmp_path / "run"))
    with pytest.raises(DataError, match="needs its subset"):
        train(RunJob(run, None, tmp_path / "run"))


def test_untrained_networks_with_and_without_a_dataset(tmp_path):
    train(RunJob(untrained(), None, tmp_path / "digits"))
    record = json.loads((tmp_path / "digits" / "run.json").read_text())
    assert record["n_classes"] == 10 and 0 <= record["acc"] < 0.3 and record["total_flops"] == 0
    assert pq.read_table(tmp_path / "digits" / "history.parquet")["epoch"].to_pylist() == [0]
    train(RunJob(untrained(dataset=None, dataset_settings=None, fingerprint=None), None, tmp_path / "none"))
    record = json.loads((tmp_path / "none" / "run.json").read_text())
    assert record["n_classes"] == 1000 and record["acc"] is None and record["weights"] == "weights-ep0.safetensors"
    model = build("resnet_w8", 1000, 5)
    load_weights(model, tmp_path / "none" / record["weights"], "resnet_w8")
    assert torch.equal(model.fc.weight, build("resnet_w8", 1000, 0).fc.weight)


def test_pretrained_networks_from_a_file(tmp_path):
    original = build("resnet_w8", 7, 3)
    save_weights(original, tmp_path / "resnet_w8.safetensors", {})
    run = untrained(kind="pretrained", dataset=None, weights=str(tmp_path / "resnet_w8.safetensors"))
    train(RunJob(run, None, tmp_path / "run"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["n_classes"], record["n_samples_seen"], record["total_flops"], record["acc"]) == (
        7,
        None,
        None,
        None,
    )
    model = build("resnet_w8", 7, 0)
    load_weights(model, tmp_path / "run" / record["weights"], "resnet_w8")
    assert torch.equal(model.fc.weight, original.fc.weight)


def test_baselines_have_no_weights(tmp_path):
    run = untrained(kind="baseline", arch="gabor", family="baseline", dataset=None)
    train(RunJob(run, None, tmp_path / "run"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["weights"] is None and record["n_params"] == 0 and record["macs"] == 0
    assert not list((tmp_path / "run").glob("*.safetensors"))
    with pytest.raises(DataError, match=r"nearest: +baseline"):
        train(RunJob(replace(run, kind="base"), None, tmp_path / "other"))


# States and locks


def test_the_last_two_states_are_kept_and_a_damaged_one_is_passed_over(tmp_path):
    for step in (1, 2, 3):
        save_state(tmp_path, step, {"definition": "d", "step": step, "tensor": torch.full((3,), float(step))})
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 2 and load_state(tmp_path, "d")["step"] == 3
    assert load_state(tmp_path, "another") is None
    content = bytearray(paths[1].read_bytes())
    content[len(content) // 2] ^= 1
    paths[1].write_bytes(content)
    assert load_state(tmp_path, "d")["step"] == 2
    paths[0].write_bytes(paths[0].read_bytes()[:100])
    assert load_state(tmp_path, "d") is None
