"""The weights that runs of another store kept on their way are checkpoints: their rows tell how far each had come."""

import json

import pytest
import torch

from neuroscaling.core.errors import DataError
from neuroscaling.core.records import RUN_RECORD, checked_weights, read_run
from neuroscaling.core.score_table import build_table
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_with
from neuroscaling.study.checkpoint_tables import folder_checkpoints
from neuroscaling.study.run_table import Run, RunJob, expand_runs
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.training.checkpoints import write_weights
from neuroscaling.training.job import train_runs
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
    assert table["n_samples_seen"].tolist() == [0, 190, 950]
    assert table["passes"].tolist()[1:] == [1.9, 9.5] and table["passes"].isna().tolist() == [True, False, False]
    assert table["total_flops"].tolist() == [0, 600_000, 3_000_000]
    assert table["acc"].isna().tolist() == [True, True, False] and table["acc"].iloc[2] == 0.5
    assert set(table["kind"]) == {"checkpoint"} and set(table["dataset"]) == {"digits"}
    for job, epoch in zip(jobs, EPOCHS, strict=True):
        assert read_run(job.out / RUN_RECORD).training["epoch"] == epoch
        taken, own = build_with(ARCH, checked_weights(job.out)).state_dict(), build(ARCH, 7, epoch).state_dict()
        assert all(torch.equal(value, own[key]) for key, value in taken.items())


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
