"""What is seen of a training while it goes on, and the end of one that hangs."""

import logging
import os
import re
import sys
import threading
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from torch.distributed import TCPStore

from neuroscaling.core import watching
from neuroscaling.core.hangs import STATUS, Patience, ended_if_hung
from neuroscaling.core.leases import lock_of
from neuroscaling.core.progress import progress_of_run, read_progress
from neuroscaling.core.records import read_run
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training import curve_logs, live
from neuroscaling.training.curve_logs import CurveLogs, missing_logs
from neuroscaling.training.feeding.training_feed import ViewFeed
from neuroscaling.training.job import train_runs
from neuroscaling.training.train import train
from tests.support.digit_runs import digit_run, digit_subset
from tests.support.processes import LIMIT

OPTIONS = TrainingOptions(device="cpu", threads=1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def impatient(monkeypatch):
    """A watch that looks, writes and tells all the time."""
    for name, seconds in (("LOOK_EVERY", 0.01), ("WRITE_EVERY", 0.05), ("TELL_EVERY", 0.1)):
        monkeypatch.setattr(watching, name, seconds)


def job_of(folder, **changes):
    run = digit_run(k=30, **changes)
    return RunJob(run, digit_subset(folder, run), folder / run.run)


def test_a_training_is_seen_while_it_goes_on(impatient, tmp_path, monkeypatch, caplog):
    """It takes a second or less: after every tenth step it waits until the watch has written and told of it."""
    caplog.set_level(logging.INFO)
    job, seen = job_of(tmp_path, epochs=12, evaluations="published"), []
    write, fed = watching.write_progress, ViewFeed.batches

    def spied(path, progress):
        write(path, progress)
        history = path.with_name("history.parquet")
        seen.append((read_progress(path), pq.read_table(history).num_rows if history.exists() else 0))

    def told():
        return [record.message for record in caplog.records if "epoch" in record.message]

    def is_told(done):
        return any(one.done == done for one, _ in seen[-1:]) and any(f"step {done} " in line for line in told()[-1:])

    def batches(self, requests):
        for done, batch in enumerate(fed(self, requests)):
            end = time.monotonic() + LIMIT
            while done % 10 == 0 and done and not is_told(done):
                assert time.monotonic() < end, (seen, told())
                time.sleep(0.001)
            yield batch

    monkeypatch.setattr(watching, "write_progress", spied)
    monkeypatch.setattr(ViewFeed, "batches", batches)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert train(job, OPTIONS) is None
    line = rf"{job.run.run}: epoch \d+ of 12, step \d+ of 60, loss [\d.e-]+, accuracy [\d.]+, [\d,.]+ images/s, .* left"
    assert any(re.fullmatch(line, message) for message in told()), told()
    progress, rows = seen[-1]
    assert progress.done <= progress.total and progress.epochs == 12 and progress.unit == "steps"
    assert (progress.name, progress.slurm_job_id, progress.pid) == (job.run.run, "77", os.getpid())
    steps = [one.done for one, _ in seen]
    assert steps == sorted(steps) and {*steps} >= {10, 20, 30, 40, 50} and rows > 1
    assert not (job.out / "state").exists() and read_run(job.out / "run.json").status == "done"


def test_a_training_that_breaks_off_says_why_and_the_next_try_is_the_second(tmp_path, monkeypatch):
    job = job_of(tmp_path, epochs=1)

    def broken(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(live.LiveTraining, "begins", broken)
    with pytest.raises(OSError, match="gone"):
        train(job, OPTIONS)
    found = read_progress(progress_of_run(job.out))
    assert found is not None and (found.problem, found.attempt) == ("OSError: the disk is gone", 1)
    with pytest.raises(OSError, match="gone"):
        train(job, OPTIONS)
    found = read_progress(progress_of_run(job.out))
    assert found is not None and found.attempt == 2
    monkeypatch.undo()
    assert train(job, OPTIONS) is None and read_progress(progress_of_run(job.out)) is None


def images_that_never_come(told: Path):
    told.touch()
    time.sleep(10 * LIMIT)


def in_processes(jobs, options, log, ranks):
    """Exit statuses of processes of one group that train `jobs`, as torchrun starts them; the last gets no images.

    They are forked: torch is imported already. They meet at a store of this process, as at torchrun's, whose port
    nobody else can take. Process 0 ends first; then the other is killed, as torchrun does it in the end.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_RUN_ID": "x"}
    group |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    group |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)} if ranks > 1 else {}
    running = []
    for rank in range(ranks):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        arguments = (jobs, options, log, group | own, rank, rank + 1 == ranks)
        process = get_context("fork").Process(target=train_hanging, args=arguments)
        process.start()
        running.append(process)
    running[0].join(LIMIT)
    for process in running:
        process.kill()
        process.join()
    return [process.exitcode for process in running]


def train_hanging(jobs, options, log, environment, rank, hangs):
    """Train; process 0 has two seconds of patience while it stands for good, and all there is while it is slow."""
    os.environ.update(environment)
    logging.basicConfig(filename=log, level=logging.INFO, force=True)
    fed, end_if_hung, told = ViewFeed.batches, watching.Watch._end_if_hung, Path(log).with_name("no images")

    def batches(self, requests):
        for number, batch in enumerate(fed(self, requests)):
            if hangs and number == 30:
                images_that_never_come(told)
            yield batch

    def end_where_it_stands(watch, now):
        stands = told.exists() and is_within("images_that_never_come" if hangs else "all_reduce")
        watch.patience = Patience(2, 2) if rank == 0 and stands else Patience(LIMIT, LIMIT)
        end_if_hung(watch, now)

    ViewFeed.batches, watching.Watch._end_if_hung = batches, end_where_it_stands
    with ended_if_hung():
        train_runs(jobs, options)


def is_within(function: str) -> bool:
    """Is the main thread in a function of this name?"""
    frame = sys._current_frames()[threading.main_thread().ident]
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


def test_a_training_that_gets_no_images_ends_and_goes_on_in_the_next_try(tmp_path):
    job, log = job_of(tmp_path, epochs=12), tmp_path / "log"
    options = replace(OPTIONS, checkpoint_steps=10)
    assert in_processes([job], options, log, 1) == [STATUS]
    text = log.read_text()
    assert "no step for too long: it hangs" in text and "in images_that_never_come" in text
    (traces,) = (job.out / "state").glob("tracebacks-*.txt")
    assert "in images_that_never_come" in traces.read_text() and not lock_of(job.out).exists()
    found = read_progress(progress_of_run(job.out))
    assert found is not None and found.done == 30 and found.problem.startswith("no step for too long")
    assert train(job, OPTIONS) is None
    assert read_run(job.out / "run.json").n_samples_seen == 12 * 300


def test_a_process_that_waits_for_another_one_ends_too(tmp_path):
    job, log = job_of(tmp_path, epochs=12), tmp_path / "log"
    ended = in_processes([job], replace(OPTIONS, gpus=2), log, 2)
    assert ended[0] == STATUS
    assert "in all_reduce" in log.read_text()
    assert [*(job.out / "state").glob("tracebacks-*.txt")] and not lock_of(job.out).exists()


class Points:
    """A log of curves that keeps them."""

    def __init__(self, run, step):
        self.begun, self.points, self.is_closed = step, [], False
        kept.append(self)

    def add(self, values, step):
        self.points.append((step, values))

    def close(self):
        self.is_closed = True


kept: list[Points] = []


def test_curves_have_every_epoch_once_and_where_training_stands(impatient, tmp_path, monkeypatch):
    monkeypatch.setitem(curve_logs.KINDS, "tensorboard", Points)
    kept.clear()
    job = job_of(tmp_path, epochs=12, evaluations="published")
    assert train(job, replace(OPTIONS, log_to=("tensorboard",))) is None
    (points,) = kept
    rows = pq.read_table(job.out / "history.parquet").to_pylist()
    of_epochs = [(step, values) for step, values in points.points if "epoch" in values]
    assert [step for step, _ in of_epochs] == [row["step"] for row in rows] and points.is_closed
    assert of_epochs[-1][1]["validation/accuracy"] == rows[-1]["val_accuracy"]
    assert [step for step, _ in points.points] == sorted(step for step, _ in points.points)


def test_a_log_of_curves_that_fails_is_told_of_once_and_left(caplog):
    logs = CurveLogs.of(["tensorboard"])
    logs.begin(digit_run(), "no step", 0)  # which event files have no place for
    rows = [live.EpochRow(0, 0, 0, train_loss=1.0), live.EpochRow(1, 5, 50, train_loss=0.5)]
    logs.add(rows, None)
    logs.close()
    assert caplog.text.count("nothing more goes to tensorboard") == 1


def test_a_package_that_a_log_of_curves_needs_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(curve_logs, "find_spec", lambda name: None)
    problems = missing_logs(["tensorboard", "wandb"])
    assert ["`tensorboard`" in problems[0].what, "`wandb`" in problems[1].what] == [True, True]
    assert "pip install" in problems[0].fix and missing_logs([]) == []


def test_tensorboard_reads_the_curves(impatient, tmp_path, monkeypatch):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")
    monkeypatch.chdir(tmp_path)
    job = job_of(tmp_path, epochs=3, evaluations="published")
    assert train(job, replace(OPTIONS, log_to=("tensorboard",))) is None
    events = reader.EventAccumulator(str(tmp_path / "logs/tensorboard" / job.run.run)).Reload()
    found = [(event.step, event.value) for event in events.Scalars("validation/accuracy")]
    rows = pq.read_table(job.out / "history.parquet").to_pylist()
    assert found == [(row["step"], pytest.approx(row["val_accuracy"])) for row in rows]


def test_weights_and_biases_keeps_the_curves_offline(impatient, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="no wandb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = job_of(tmp_path, epochs=2)
    assert train(job, replace(OPTIONS, log_to=("wandb",))) is None
    assert [*tmp_path.glob("logs/wandb/offline-run-*/*.wandb")]
