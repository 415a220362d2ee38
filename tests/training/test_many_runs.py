"""Many runs in one job: each with its own outputs, and none touched by what befalls another."""

import gc
import json
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import held
from neuroscaling.core.records import read_run
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training import setup, train
from neuroscaling.training.job import _dealt, read_job, train_runs, written_job
from tests.support.digit_runs import digit_run, digit_subset
from tests.support.photographs import photograph_run, photographs

OPTIONS = TrainingOptions(device="cpu", threads=1)


pytestmark = pytest.mark.usefixtures("one_thread")


def job_of(folder, **changes):
    run = digit_run(epochs=1, warmup_epochs=0, **changes)
    return RunJob(run, digit_subset(folder, run), folder / run.run)


def record(job):
    return json.loads((job.out / "run.json").read_text())


def test_runs_of_one_job_end_as_those_of_a_job_each(tmp_path):
    alone, packed = tmp_path / "alone", tmp_path / "packed"
    settings = [{"k": 3}, {"arch": "vit_w16", "k": 10}, {"k": 10}]
    for change in settings:
        assert train_runs([job_of(alone, **change)], OPTIONS) == []
    jobs = [job_of(packed, **change) for change in settings]
    assert train_runs(jobs, OPTIONS) == []
    for job in jobs:
        weights = record(job)["weights"]
        assert file_sha256(job.out / weights) == file_sha256(alone / job.out.name / weights)


def test_a_run_that_diverges_leaves_the_others_alone(tmp_path):
    bad = job_of(tmp_path, optimizer="sgd", learning_rate=1e30, batch_size=10)
    jobs = [job_of(tmp_path, k=3), bad, job_of(tmp_path, k=1)]
    (failure,) = train_runs(jobs, OPTIONS)
    assert failure.run == bad.run.run and "no longer finite" in failure.problem
    assert [record(job)["status"] for job in jobs] == ["done", "failed", "done"]
    assert (bad.out / "history.parquet").is_file()
    follower = RunJob(replace(jobs[0].run, run="after", start=bad.run.run), jobs[0].subset, tmp_path / "after", bad.out)
    (failure,) = train_runs([follower], OPTIONS)
    assert failure.run == "after" and "starts from failed" in failure.problem


def test_a_run_that_another_driver_trains_comes_last_and_is_waited_for(tmp_path, caplog):
    jobs = [job_of(tmp_path, k=3), job_of(tmp_path, k=1)]
    follower = RunJob(replace(jobs[0].run, run="after", start=jobs[0].run.run), jobs[0].subset, tmp_path / "after")
    jobs = [jobs[0], RunJob(follower.run, follower.subset, follower.out, jobs[0].out), jobs[1]]
    caplog.set_level("INFO")
    with ExitStack() as other, ThreadPoolExecutor(1) as pool:
        other.enter_context(held(jobs[0].out, "run"))
        done = pool.submit(train_runs, jobs, OPTIONS)
        while "waiting for run" not in caplog.text and not done.done():
            time.sleep(0.05)
        assert [(job.out / "run.json").is_file() for job in jobs] == [False, False, True]
        other.close()
        assert done.result(timeout=600) == []
    assert [record(job)["status"] for job in jobs] == ["done"] * 3
    assert f"runs/{jobs[0].out.name}/weights-ep1.safetensors" in record(jobs[1])["made_from"]


def test_two_jobs_of_the_same_runs_make_each_once(tmp_path, caplog):
    jobs = [job_of(tmp_path, k=3), job_of(tmp_path, k=1)]
    caplog.set_level("INFO")
    path = tmp_path / "jobs.json"
    path.write_text(written_job(jobs, OPTIONS))
    command = [sys.executable, "-m", "neuroscaling.training.job", str(path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    texts = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert sum(text.count("validation accuracy") for text in texts) == 2
    assert not list(tmp_path.glob(".*"))


def test_missing_data_are_told_at_the_end_by_run_and_only_that_run_is_made_again(tmp_path):
    jobs = [job_of(tmp_path, k=3), job_of(tmp_path, k=10), job_of(tmp_path, k=1)]
    lost = jobs[1].subset.rename(tmp_path / "elsewhere.parquet")
    with pytest.raises(DataError, match=rf"run {jobs[1].run.run}: .*subset is missing"):
        train_runs(jobs, OPTIONS)
    assert record(jobs[2])["status"] == "done" and not (jobs[1].out / "run.json").exists()
    times = [(job.out / "run.json").stat().st_mtime_ns for job in (jobs[0], jobs[2])]
    lost.rename(jobs[1].subset)
    assert train_runs(jobs, OPTIONS) == []
    assert [(job.out / "run.json").stat().st_mtime_ns for job in (jobs[0], jobs[2])] == times


def test_damaged_images_fail_their_run_until_they_are_mended(tmp_path):
    from neuroscaling.study.recipes import Recipe
    from neuroscaling.training.feeding.decoded_images import forget_squares

    root = photographs(tmp_path / "photographs")
    image = min((root / "train").rglob("*.jpg"))
    whole = image.read_bytes()
    image.write_bytes(whole[:-600])
    keys = {"name": "r", "epochs": 1, "batch_size": 18, "optimizer": "sgd", "learning_rate": 0.01}
    settings, subset = photograph_run(root, Recipe.model_validate(keys), k=6)
    job = RunJob(replace(settings, kind="trained", arch="resnet_w8"), subset, tmp_path / "run")
    (failure,) = train_runs([job], OPTIONS)
    assert "can't be decoded" in failure.problem and not (job.out / "run.json").exists()
    failed = read_run(job.out / "failed.json")
    assert failed.status == "failed" and [image.name in entry for entry in failed.corrupt] == [True]
    image.write_bytes(whole)
    forget_squares()
    assert train_runs([job], OPTIONS) == [] and record(job)["status"] == "done"
    assert not (job.out / "failed.json").exists()


def test_runs_side_by_side_end_as_those_one_after_another(tmp_path):
    apart, together = tmp_path / "apart", tmp_path / "together"
    train_runs([job_of(apart, k=k) for k in (1, 3)], OPTIONS)
    jobs = [job_of(together, k=k) for k in (1, 3)]
    assert train_runs(jobs, replace(OPTIONS, side_by_side=2)) == []
    for job in jobs:
        assert (
            record(job)["weights_sha256"]
            == json.loads((apart / job.out.name / "run.json").read_text())["weights_sha256"]
        )


def test_jobs_are_the_same_from_their_file(tmp_path):
    jobs = [
        job_of(tmp_path, k=3),
        RunJob(Run("a", "baseline", "gabor", "baseline"), None, tmp_path / "a", tmp_path / "b"),
    ]
    assert read_job(written_job(jobs, OPTIONS)) == (jobs, OPTIONS)


def test_processes_of_a_host_share_its_cpus(tmp_path):
    jobs = [job_of(tmp_path, k=k) for k in (1, 3, 10)]
    dealt = _dealt(jobs, TrainingOptions(side_by_side=2, threads=8, workers=7))
    assert [read_job(text)[1] for text in dealt] == [TrainingOptions(side_by_side=1, threads=4, workers=3)] * 2
    few = TrainingOptions(threads=2, workers=1, gpus=4)
    assert few.with_part_of_cpus(4) == TrainingOptions(threads=1, workers=1, gpus=4)
    assert TrainingOptions(workers=0).with_part_of_cpus(4) == TrainingOptions()


def test_a_compiled_network_is_gone_before_the_next_one_is_made(tmp_path, monkeypatch):
    networks, alive, made, compile = [], [], setup.prepare_training, torch.nn.Module.compile

    def prepared(*arguments):
        alive.append([network() is not None for network in networks])
        training = made(*arguments)
        networks.append(weakref.ref(training.objective.network))
        return training

    monkeypatch.setattr(train, "prepare_training", prepared)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compile(module, backend="eager"))
    gc.disable()
    try:
        assert train_runs([job_of(tmp_path, k=k) for k in (1, 3)], replace(OPTIONS, compile=True)) == []
    finally:
        gc.enable()
    assert alive == [[], [False]]
