"""The weights that runs of another store kept on their way are checkpoints: their rows tell how far each had come."""

import json

import pytest
import torch

from neuroscaling.core.errors import DataError
from neuroscaling.core.records import HISTORY_FILE, RUN_RECORD, checked_weights, read_run
from neuroscaling.core.score_table import build_table
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_with
from neuroscaling.store.adopt import line_of
from neuroscaling.study.checkpoint_tables import folder_checkpoints
from neuroscaling.study.run_table import Run, RunJob, expand_runs
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.training.checkpoints import write_weights
from neuroscaling.training.job import train_runs
from neuroscaling.training.run_folder import EpochRow, write_history
from neuroscaling.training.train import train
from tests.support.run_records import run_content, write_run
from tests.support.score_records import write_score

ARCH, SOURCE = "resnet_w8", "resnet_w8_digits_10_s0-00000000"
EPOCHS = (0, 2, 10)


def kept_run(folder, name=SOURCE, epochs=EPOCHS, **changes):
    """A finished run with weights of each of `epochs`, of which the last ones are its final weights."""
    out = folder / name
    out.mkdir(parents=True)
    kept = [
        write_weights(Run(name, "trained", ARCH, "ResNet"), build(ARCH, 7, epoch), out, epoch, 7) for epoch in epochs
    ]
    listed = [{"epoch": one.epoch, "file": one.file, "sha256": one.sha256} for one in kept]
    final = {"weights": kept[-1].file, "weights_sha256": kept[-1].sha256, "checkpoints": listed}
    trained = {"n_samples": 100, "n_epochs": 10, "n_samples_seen": 950, "total_flops": 3_000_000, "acc": 0.5}
    write_run(out / RUN_RECORD, run_content(name, **final | trained | changes))
    return out


def runs_of(folder, epochs):
    study = {"study": "a", "runs": [{"checkpoints": str(folder), "epochs": epochs}]}
    return expand_runs(Study.model_validate(study), {})


def test_rows_of_a_folder_of_runs_have_epochs_passes_unique_images_and_images_seen(tmp_path):
    kept_run(tmp_path / "theirs" / "runs")
    runs = runs_of(tmp_path / "theirs" / "runs", "all")
    jobs = [RunJob(run, None, tmp_path / "mine" / "runs" / run.run) for run in runs]
    assert train_runs(jobs, TrainingOptions(device="cpu")) == []
    score = {"data": "simulated-demo-00000000", "simulated": True, "metric": "pls", "engine": "stock"}
    row = {"region": "IT", "subject": None, "score": 0.4, "raw": 0.5, "ceiling": 0.8, "error": 0.01, "layer": "layer4"}
    row |= {"n_targets": 20, "n_mapping": 90, "scale": "r2/c", "reason": None}
    made_up = score | {"benchmark": "b-pls", "protocol": "corrected", "rows": [row]}
    scores = [write_score(tmp_path, {**made_up, "run": run.run}) for run in runs]
    table = build_table(scores, [job.out / RUN_RECORD for job in jobs]).scores.sort_values("n_epochs")
    assert table["n_epochs"].tolist() == list(EPOCHS) and table["n_samples"].tolist() == [100] * 3
    assert table["epoch"].tolist() == list(EPOCHS) and set(table["trajectory"]) == {SOURCE}
    assert table["n_samples_seen"].tolist() == [0, 190, 950]
    assert table["passes"].tolist()[1:] == [1.9, 9.5] and table["passes"].isna().tolist() == [True, False, False]
    assert table["total_flops"].tolist() == [0, 600_000, 3_000_000]
    assert table["acc"].isna().tolist() == [True, True, False] and table["acc"].iloc[2] == 0.5
    assert set(table["kind"]) == {"checkpoint"} and set(table["dataset"]) == {"digits"}
    for job, epoch in zip(jobs, EPOCHS, strict=True):
        assert read_run(job.out / RUN_RECORD).training["epoch"] == epoch
        taken, own = build_with(ARCH, checked_weights(job.out)).state_dict(), build(ARCH, 7, epoch).state_dict()
        assert all(torch.equal(value, own[key]) for key, value in taken.items())


def runs_at(epochs, tmp_path):
    """The run of a training and those of the epochs before its last whose weights are asked for."""
    recipe = tmp_path / "kept.yaml"
    steps = {"epochs": 10, "batch_size": 64, "optimizer": "sgd", "learning_rate": 0.1, "augmentation": "none"}
    recipe.write_text(json.dumps(steps | {"checkpoints": [1, 2]}))
    group = {"archs": [ARCH], "datasets": ["digits"], "samples_per_class": [10], "recipe": str(recipe)}
    group |= {"epochs": epochs} if epochs else {}
    study = {"study": "a", "datasets": {"digits": {"format": "digits"}}, "runs": [group]}
    return expand_runs(Study.model_validate(study), {"digits": "00000000"})


def test_epochs_that_a_training_keeps_are_runs_beside_it_and_it_keeps_its_name(tmp_path):
    (end,) = runs_at(None, tmp_path)
    assert [run.run for run in runs_at("latest", tmp_path)] == [end.run]
    for epochs, expected in (("all", [None, 1, 2]), ([2, 10], [None, 2])):
        runs = runs_at(epochs, tmp_path)
        assert runs[0] == end and [run.kept_epoch for run in runs] == expected
        assert {run.start for run in runs[1:]} == {end.run} and {run.keep for run in runs[1:]} == {False}
        assert all(run.recipe == end.recipe for run in runs) and {run.objective for run in runs} == {"supervised"}


def test_weights_of_an_own_training_are_taken_as_those_of_a_folder_with_the_accuracy_of_their_epoch(tmp_path):
    end, first, _ = runs_at("all", tmp_path)
    base = kept_run(tmp_path / "runs", end.run, (1, 2, 10), start=None)
    history = [EpochRow(epoch, epoch, 95 * epoch, val_accuracy=epoch / 10 if epoch < 2 else None) for epoch in (1, 2)]
    write_history(base / HISTORY_FILE, history)
    job = RunJob(first, None, tmp_path / "runs" / first.run, base)
    assert train_runs([job], TrainingOptions(device="cpu")) == []
    record = read_run(job.out / RUN_RECORD)
    other = next(one for one in folder_checkpoints(tmp_path / "runs") if one.epoch == 1)
    told = (record.n_samples, record.n_epochs, record.n_samples_seen, record.n_samples_nominal, record.total_flops)
    assert told == (other.n_samples, 1, other.n_samples_seen, 100, other.total_flops) and record.acc == 0.1
    assert record.made_from == {f"runs/{end.run}/weights-ep1.safetensors": f"sha256:{other.sha256}"}
    assert len(folder_checkpoints(tmp_path / "runs")) == 3, "an epoch of another run is no network more"
    assert line_of(record, job.out).endswith('"recipe": "kept", "epochs": [1]}')
    taken, own = build_with(ARCH, checked_weights(job.out)).state_dict(), build(ARCH, 7, 1).state_dict()
    assert all(torch.equal(value, own[key]) for key, value in taken.items())


@pytest.mark.parametrize("fault", ["failed", "altered"])
def test_an_epoch_of_a_training_that_failed_or_of_other_weights_fails(fault, tmp_path):
    end, first, _ = runs_at("all", tmp_path)
    base = kept_run(tmp_path / "runs", end.run, (1, 2, 10))
    write_history(base / HISTORY_FILE, [])
    if fault == "failed":
        write_run(base / RUN_RECORD, run_content(end.run, status="failed", problem="not finite", lasting=True))
    else:
        (base / "weights-ep1.safetensors").write_bytes((base / "weights-ep2.safetensors").read_bytes())
    job = RunJob(first, None, tmp_path / "runs" / first.run, base)
    reason = train(job, TrainingOptions(device="cpu"))
    assert ("not finite" if fault == "failed" else "its training wrote") in reason
    assert read_run(job.out / RUN_RECORD).failure is not None


def test_epochs_of_a_folder_can_be_chosen(tmp_path):
    kept_run(tmp_path)
    assert [run.checkpoint.epoch for run in runs_of(tmp_path, "latest")] == [10]
    assert [run.checkpoint.epoch for run in runs_of(tmp_path, [2, 3])] == [2]


def test_what_nobody_knows_of_a_run_in_a_folder_stays_unknown(tmp_path):
    unknown = dict.fromkeys(("n_samples", "n_epochs", "n_samples_seen", "total_flops", "acc", "dataset"))
    kept_run(tmp_path, epochs=[0], kind="pretrained", **unknown | {"checkpoints": []})
    (one,) = folder_checkpoints(tmp_path)
    told = (one.epoch, one.n_epochs, one.n_samples, one.n_samples_seen, one.total_flops, one.acc, one.dataset)
    assert told == (None,) * 7


def test_a_checkpoint_of_another_store_keeps_how_it_was_trained_and_shown(tmp_path):
    known = {"series": "simclr", "objective": "simclr", "epoch": 5, "crop": 0.875, "seed": None}
    facts = {"n_epochs": 5, "n_samples_seen": 500, "total_flops": 3e6, "recipe": None, "checkpoints": []}
    kept_run(tmp_path, epochs=[5], kind="checkpoint", training=known, **facts)
    (one,) = folder_checkpoints(tmp_path)
    assert (one.series, one.objective, one.crop, one.epoch, one.seed) == ("simclr", "simclr", 0.875, 5, None)
    assert (one.n_samples_seen, one.total_flops, one.acc) == (500, 3e6, 0.5)


def test_a_failed_run_is_left_out_and_an_altered_record_is_refused(tmp_path):
    kept_run(tmp_path)
    other = kept_run(tmp_path, "other-00000000", status="failed", problem="the loss is no longer finite")
    assert {one.id for one in folder_checkpoints(tmp_path)} == {SOURCE}
    record = json.loads((other / RUN_RECORD).read_text())
    (other / RUN_RECORD).write_text(json.dumps(record | {"problem": "another"}))
    with pytest.raises(DataError, match="altered"):
        folder_checkpoints(tmp_path)
