"""Checkpoints that others trained become runs: fetched, compared with what is known of them, and written as weights."""

import hashlib
import io

import pytest
import torch

from neuroscaling.activations.extraction import free_weights
from neuroscaling.core.errors import FullDiskError
from neuroscaling.core.records import FAILURE_RECORD, RUN_RECORD, checked_weights, failure_in, read_run
from neuroscaling.core.score_table import build_table
from neuroscaling.laws.points import select_points
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_with
from neuroscaling.store.adopt import line_of
from neuroscaling.study.extraction_job import ExtractionJob
from neuroscaling.study.jobs import ScoreJob, sound
from neuroscaling.study.run_table import RunJob, expand_runs
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.training.job import read_job, train_runs, written_job
from neuroscaling.training.train import train
from tests.laws.test_fit_job import job as job_of_fit
from tests.support.checkpoint_states import composer_state
from tests.support.range_server import range_server
from tests.support.score_records import score_path, write_score

ARCH = "resnet_w8"
OPTIONS = TrainingOptions(device="cpu")
COLUMNS = "id,arch,url,dataset,samples_per_class,seed,epoch,n_samples,n_epochs,total_flops,acc,ema"


def content_of(seed, epoch=5):
    """A Composer file of a network from `seed`, whose averaged weights are those of the next seed."""
    written = io.BytesIO()
    torch.save(composer_state(build(ARCH, 7, seed), build(ARCH, 7, seed + 1), epoch), written)
    return written.getvalue()


def runs_of(path, header, *rows):
    path.write_text("".join(f"{','.join(map(str, row))}\n" for row in (header.split(","), *rows)), encoding="utf-8")
    return expand_runs(Study.model_validate({"study": "a", "runs": [{"checkpoints": str(path)}]}), {})


def run_of(path, header, *cells):
    (run,) = runs_of(path, header, cells)
    return run


@pytest.fixture
def served(tmp_path):
    """A server with one checkpoint, and the job of its run."""
    with range_server() as server:
        server.files["/a/ep5.pt"] = content_of(0)
        cells = ("a", ARCH, f"{server.url}/a/ep5.pt", "imagenet", 10, 1, 5, 100, 5, "3e12", 0.25, "true")
        run = run_of(tmp_path / "table.csv", COLUMNS, *cells)
        yield server, RunJob(run, None, tmp_path / "store" / "runs" / run.run)


def test_a_checkpoint_is_fetched_and_has_what_its_table_knows(served, monkeypatch):
    monkeypatch.setattr("neuroscaling.core.downloads.PAUSE_S", 0.0)
    server, job = served
    server.breaks = [5000, 7000]
    (read,), _ = read_job(written_job([job], OPTIONS))
    assert read == job and train(read, OPTIONS) is None
    record = read_run(job.out / RUN_RECORD)
    content = server.files["/a/ep5.pt"]
    assert record.made_from == {job.run.weights: f"sha256:{hashlib.sha256(content).hexdigest()}"}
    found = (record.n_samples, record.n_epochs, record.n_samples_seen, record.total_flops, record.acc, record.n_classes)
    assert found == (100, 5, 500, 3e12, 0.25, 7)
    network, average = build_with(ARCH, checked_weights(job.out)), build(ARCH, 7, 1)
    assert all(torch.equal(value, average.state_dict()[name]) for name, value in network.state_dict().items())
    kept = {path.name for path in job.out.iterdir() if not path.name.startswith(".")}
    assert kept == {RUN_RECORD, "history.parquet", "weights-ep5.safetensors"}
    assert line_of(record, job.out) == '- {"checkpoints": "<the table that has a>"}'
    row = build_table([], [job.out / RUN_RECORD], accuracy=True).scores.iloc[0]
    assert (row["kind"], row["objective"], row["dataset"], row["samples_per_class"]) == (
        "checkpoint",
        "supervised",
        "imagenet",
        10,
    )
    assert not row["is_pretrained"] and not row["is_random"] and row["n_samples_seen"] == 500


def test_another_file_under_the_same_url_is_refused_once_the_first_was_trusted(served):
    server, job = served
    train(job, OPTIONS)
    first = server.files["/a/ep5.pt"]
    (job.out / "weights-ep5.safetensors").unlink()
    server.files["/a/ep5.pt"] = content_of(5)
    text = train(job, OPTIONS)
    sums = [hashlib.sha256(content).hexdigest() for content in (first, server.files["/a/ep5.pt"])]
    assert "is not the one that was first fetched" in text and all(sum in text for sum in sums)
    assert not (job.out / "weights-ep5.safetensors").exists()
    server.files["/a/ep5.pt"] = first
    train(job, OPTIONS)
    assert checked_weights(job.out) and not (job.out / FAILURE_RECORD).exists()


def test_a_run_whose_link_died_keeps_its_scores_and_fails_where_a_further_score_needs_its_weights(served, tmp_path):
    server, job = served
    train(job, OPTIONS)
    record, history = ((job.out / name).read_bytes() for name in (RUN_RECORD, "history.parquet"))
    content = {
        "run": job.run.run,
        "data": "d",
        "simulated": True,
        "benchmark": "b",
        "metric": "pls",
        "engine": "kernel",
    }
    row = {"region": "IT", "subject": None, "score": 0.4, "raw": 0.5, "ceiling": 0.8, "error": 0.01, "scale": "r2/c"}
    there = write_score(tmp_path / "store" / "scores", content | {"protocol": "corrected", "rows": [row]})
    further = score_path(tmp_path / "store" / "scores", "c", job.run.run)
    (job.out / "weights-ep5.safetensors").unlink()
    file = server.files.pop("/a/ep5.pt")
    (failure,) = train_runs([job], OPTIONS)
    assert "404" in failure.problem and failure_in(job.out) == failure.problem
    assert ((job.out / RUN_RECORD).read_bytes(), (job.out / "history.parquet").read_bytes()) == (record, history)

    def table_of(*wanted):
        return build_table([there], [job.out / RUN_RECORD], wanted=wanted)

    table = table_of(there, further)
    assert table.scores["score"].tolist() == [0.4] and [one.problem for one in table.failed] == [failure.problem]
    assert table_of(there).failed == ()
    settings = job_of_fit(filters={"benchmark": "b"}, group_by=[], cluster=[], hierarchy=[], y="score")
    assert select_points(table.scores, settings, table.failed).dropped == {}
    done, left = (
        ScoreJob(path, job.run.run, job.out, "d", name, name, activations, {})
        for path, name, activations in ((there, "b", job.out / RUN_RECORD), (further, "c", tmp_path / "absent"))
    )
    assert sound([done, left]) == [done] and sound([done, left], together=True) == []
    server.files["/a/ep5.pt"] = file
    assert train_runs([job], OPTIONS) == [] and checked_weights(job.out) and sound([done, left]) == [done, left]


def test_what_nobody_knows_is_null_and_a_file_of_another_epoch_or_checksum_is_refused(tmp_path):
    (tmp_path / "a.pt").write_bytes(content_of(0))
    run = run_of(tmp_path / "a.csv", "id,arch,path", "a", ARCH, "a.pt")
    job = RunJob(run, None, tmp_path / run.run)
    train(job, OPTIONS)
    record = read_run(job.out / RUN_RECORD)
    unknown = (record.n_samples, record.n_samples_seen, record.n_epochs, record.total_flops, record.acc, record.dataset)
    assert unknown == (None,) * 6 and record.n_params > 0
    own = build(ARCH, 7, 0).state_dict()
    assert torch.equal(build_with(ARCH, checked_weights(job.out)).state_dict()["fc.weight"], own["fc.weight"])
    for header, cells, said in [
        ("id,arch,path,epoch", ("a", ARCH, "a.pt", 6), "after another epoch than the table says"),
        ("id,arch,path,sha256", ("a", ARCH, "a.pt", "0" * 64), "is not the one that its table says"),
        ("id,arch,path", ("a", "vit_w16", "a.pt"), "weights of another architecture"),
    ]:
        other = run_of(tmp_path / "b.csv", header, *cells)
        assert said in train(RunJob(other, None, tmp_path / other.run), OPTIONS)
        record = read_run(tmp_path / other.run / RUN_RECORD)
        assert record.lasting and said in record.failure and not record.weights_files


def test_the_table_goes_on_without_checkpoints_that_fail_and_names_them(served, tmp_path):
    server, _ = served
    server.files["/b/ep5.pt"], server.files["/page.pt"] = content_of(2), b"<!DOCTYPE html><p>Log in"
    header, missing = "id,arch,url,sha256,dataset,acc", f"{server.url}/c/ep5.pt"
    rows = [
        ("a", ARCH, f"{server.url}/a/ep5.pt", "", "imagenet", 0.25),
        ("b", ARCH, f"{server.url}/b/ep5.pt", "0" * 64, "imagenet", 0.25),
        ("c", ARCH, missing, "", "imagenet", 0.25),
        ("d", ARCH, f"{server.url}/page.pt", "", "imagenet", 0.25),
    ]
    runs = runs_of(tmp_path / "few.csv", header, *rows)
    jobs = [RunJob(run, None, tmp_path / "store" / "runs" / run.run) for run in runs]
    a, b, c, d = (job.out for job in jobs)

    def table_now():
        failures = {failure.run: failure.problem for failure in train_runs(jobs, OPTIONS)}
        table = build_table([], [job.out / RUN_RECORD for job in jobs], accuracy=True)
        assert {one.run: one.problem for one in table.failed} == failures
        assert all(one.columns["objective"] == "supervised" for one in table.failed)
        return set(table.scores["run"]), failures

    found, failures = table_now()
    assert found == {a.name} and set(failures) == {b.name, c.name, d.name}
    assert "is not the one that its table says" in failures[b.name] and "sha256 " + "0" * 64 in failures[b.name]
    assert missing in failures[c.name] and "404" in failures[c.name] and "a page in place of" in failures[d.name]
    assert read_run(b / RUN_RECORD).lasting and not (b / FAILURE_RECORD).exists() and not (b / "state").exists()
    for mendable in (c, d):
        assert not read_run(mendable / FAILURE_RECORD).lasting and not (mendable / RUN_RECORD).exists()
    server.files["/c/ep5.pt"] = server.files["/page.pt"] = content_of(4)
    asked = len(server.asked)
    found, failures = table_now()
    assert found == {a.name, c.name, d.name} and set(failures) == {b.name} and len(server.asked) == asked + 2
    assert not (c / FAILURE_RECORD).exists()


def test_a_full_disk_is_no_failure_of_the_checkpoint(served, monkeypatch):
    _, job = served
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("neuroscaling.core.downloads.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(FullDiskError):
        train(job, OPTIONS)
    assert not (job.out / FAILURE_RECORD).exists() and not (job.out / RUN_RECORD).exists()


def test_weights_that_are_not_kept_go_when_the_last_activations_are_there(served, tmp_path):
    _, job = served
    train(job, OPTIONS)
    wanted = tmp_path / "one.json", tmp_path / "two.json"
    extraction = ExtractionJob(job.run, job.out, tmp_path / "stimuli.json", wanted[0], freed_by=wanted)
    wanted[0].touch()
    free_weights(extraction)
    assert checked_weights(job.out)
    wanted[1].touch()
    free_weights(ExtractionJob(job.run, job.out, tmp_path / "stimuli.json", wanted[0]))
    assert checked_weights(job.out)
    free_weights(extraction)
    record = read_run(job.out / RUN_RECORD)
    assert record.lacks_weights(job.out) and record.n_samples_seen == 500
