"""What is seen of a training while it goes on, and the end of one that hangs."""

import logging
import os
import re
import socket
import time
from dataclasses import replace
from multiprocessing import get_context

import pyarrow.parquet as pq
import pytest

from neuroscaling.core import watching
from neuroscaling.core.hangs import STATUS, ended_if_hung
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
    caplog.set_level(logging.INFO)
    job, seen = job_of(tmp_path, epochs=12, evaluations="published"), []
    write = watching.write_progress

    def spied(path, progress):
        write(path, progress)
        history = path.with_name("history.parquet")
        seen.append((read_progress(path), pq.read_table(history).num_rows if history.exists() else 0))

    monkeypatch.setattr(watching, "write_progress", spied)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert train(job, OPTIONS) is None
    told = [record.message for record in caplog.records if "epoch" in record.message]
    line = (
        rf"{job.run.run}: epoch \d+ of 12, step \d+ of \d+, loss [\d.]+, accuracy [\d.]+, [\d,.]+ images/s, \d+ s left"
    )
    assert any(re.fullmatch(line, message) for message in told), told
    progress, rows = seen[-1]
    assert progress.done <= progress.total and progress.epochs == 12 and progress.unit == "steps"
    assert (progress.name, progress.slurm_job_id, progress.pid) == (job.run.run, "77", os.getpid())
    steps = [one.done for one, _ in seen]
    assert steps == sorted(steps) and len(set(steps)) > 2 and rows > 1
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


def images_that_never_come():
    time.sleep(1000)


def in_processes(jobs, options, log, ranks):
    """Exit statuses of processes of one group that train `jobs`, as torchrun starts them; the last gets no images.

    They are forked: torch is imported already. Of two, the one without images has all the patience there is, so that
    it is the other that ends first; then it is killed, as torchrun does it in the end.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    group = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "x"}
    group |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)} if ranks > 1 else {}
    running = []
    for rank in range(ranks):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        hangs = rank + 1 == ranks
        patience = 1000 if hangs and ranks > 1 else options.hang_seconds
        process = get_context("fork").Process(
            target=train_hanging, args=(jobs, replace(options, hang_seconds=patience), log, group | own, hangs)
        )
        process.start()
        running.append(process)
    running[0].join(100)
    for process in running:
        process.kill()
        process.join(100)
    return [process.exitcode for process in running]


def train_hanging(jobs, options, log, environment, hangs):
    os.environ.update(environment)
    logging.basicConfig(filename=log, level=logging.INFO, force=True)
    fed = ViewFeed.batches

    def batches(self, requests):
        for number, batch in enumerate(fed(self, requests)):
            if hangs and number == 30:
                images_that_never_come()
            yield batch

    ViewFeed.batches = batches
    with ended_if_hung():
        train_runs(jobs, options)


def test_a_training_that_gets_no_images_ends_and_goes_on_in_the_next_try(tmp_path):
    job, log = job_of(tmp_path, epochs=12), tmp_path / "log"
    options = replace(OPTIONS, hang_seconds=2, checkpoint_steps=10)
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
    ended = in_processes([job], replace(OPTIONS, gpus=2, hang_seconds=2), log, 2)
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
