"""A watch over work: its record and its line, and the end of a process that hangs."""

import json
import logging
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroscaling.campaign.words import progress_in_words
from neuroscaling.core import leases
from neuroscaling.core import watching as core_watching
from neuroscaling.core.counting import Tally, counted, counting
from neuroscaling.core.hangs import NEVER, STATUS, Patience, patience_of_job
from neuroscaling.core.leases import held, is_held, lock_of
from neuroscaling.core.progress import begun, in_words, progress_beside, read_progress
from neuroscaling.core.score_files import making_score
from neuroscaling.core.watching import Counted, Standing, Watch, watched_lease, watching


@pytest.fixture
def clock(monkeypatch):
    """Seconds that only the test lets pass, and the hangs that a watch would have ended the process for."""
    now = SimpleNamespace(seconds=1000.0, hung=[])
    # Of this module alone: other threads of the process have their own time.
    monkeypatch.setattr(core_watching, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    monkeypatch.setattr(core_watching, "tell_and_end", lambda problem, traces, last: now.hung.append(problem.value))
    return now


class Steps:
    """Work that a test sets."""

    def __init__(self, total=100):
        self.now, self.kept = None, []
        self.total = total

    def standing(self):
        return self.now

    def keep(self, progress):
        self.kept.append(progress.done)

    def at(self, done, rows=0, **more):
        self.now = Standing(done, self.total, 10 * done, rows, **more)


def watch_over(work, tmp_path, patience=None):
    record, tally = tmp_path / "progress.json", getattr(work, "tally", Tally("training", "steps"))
    progress = begun(record, "run", tally.stage, tally.unit, None)
    return Watch(work, progress, record, patience or Patience(), None, None)


def passing(clock, watch, seconds):
    """So many seconds pass, in which the watch looks as often as it does."""
    for _ in range(seconds):
        clock.seconds += 1
        watch.look()


def test_speed_and_time_left_are_those_since_the_first_step(clock, tmp_path):
    work = Steps()
    watch = watch_over(work, tmp_path)
    passing(clock, watch, 300)  # of preparation
    work.at(0)
    passing(clock, watch, 60)
    for done in range(1, 51):  # two seconds each
        work.at(done, epoch=1, epochs=2, loss=2.0)
        passing(clock, watch, 2)
    assert watch.progress.seconds_left == pytest.approx(100) and watch.progress.images_per_second == pytest.approx(5)
    assert in_words(watch.progress) == "epoch 1 of 2, step 50 of 100, loss 2, 5 images/s, 1 min 40 s left"


def test_a_resumed_training_does_not_count_the_steps_before_it_as_its_own(clock, tmp_path):
    work = Steps()
    watch = watch_over(work, tmp_path, Patience(10, 1000))
    passing(clock, watch, 5)
    work.at(60)
    passing(clock, watch, 100)  # to compile
    assert clock.hung == [] and watch.progress.seconds_left is None
    for done in (61, 62):
        work.at(done)
        passing(clock, watch, 3)
    assert watch.progress.seconds_left == pytest.approx(38 * 3)


def test_the_record_is_written_every_ten_seconds_and_a_line_each_minute(clock, tmp_path, caplog, monkeypatch):
    written = []
    monkeypatch.setattr(core_watching, "write_progress", lambda path, progress: written.append(progress.done))
    caplog.set_level(logging.INFO)
    work = Steps()
    watch = watch_over(work, tmp_path)
    for done in range(121):
        work.at(done)
        passing(clock, watch, 1)
    assert len(written) in (12, 13) and work.kept == written
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "run: step 54 of 100",
        "run: step 109 of 100",
    ]


def test_a_line_tells_of_work_that_stands(clock, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    work = Steps()
    watch = watch_over(work, tmp_path)
    work.at(3)
    passing(clock, watch, 125)
    assert "no step for 1 min 49 s" in caplog.records[-1].message


def test_work_hangs_after_its_patience_beyond_the_longest_pause_and_the_first_step_has_longer(clock, tmp_path):
    work = Steps()
    watch = watch_over(work, tmp_path, Patience(30, 100))
    passing(clock, watch, 90)
    work.at(0)
    passing(clock, watch, 90)
    work.at(0, rows=1)  # evaluated ahead of the first step, in 89 seconds
    passing(clock, watch, 95)
    work.at(1, rows=1)
    passing(clock, watch, 30 + 89)
    assert clock.hung == []
    passing(clock, watch, 5)
    assert len(clock.hung) == 1


def test_a_process_that_was_suspended_does_not_hang(clock, tmp_path):
    work = Steps()
    watch = watch_over(work, tmp_path, Patience(100, 100))
    work.at(1)
    passing(clock, watch, 5)
    clock.seconds += 5000
    passing(clock, watch, 90)
    assert clock.hung == []
    passing(clock, watch, 20)
    assert len(clock.hung) == 1


def test_work_has_a_limit_only_where_it_is_expected_to_make_steps(clock, tmp_path):
    work = Steps()
    watch = watch_over(work, tmp_path, Patience(None, None))
    work.at(1)
    passing(clock, watch, 300)
    with watch.expecting(Patience(50, 50)):
        passing(clock, watch, 45)
        assert clock.hung == []
        passing(clock, watch, 10)
    assert len(clock.hung) == 1
    passing(clock, watch, 300)
    assert len(clock.hung) == 1


def test_loops_within_a_unit_are_steps_and_tell_how_far_it_is(clock, tmp_path):
    """One subject takes hours: its candidates are told, and the time that is left of it."""
    tally = Tally("encoding", "subjects", 1)
    watch = watch_over(Counted(tally), tmp_path, Patience(30, 100))
    with counting(tally):
        passing(clock, watch, 50)
        for _ in counted(range(10), "candidate"):
            for _ in counted(range(2), "task"):
                passing(clock, watch, 25)
            if tally.parts[0].done == 4:
                break
        assert in_words(watch.progress) == "0 of 1 subjects, candidate 5 of 10, task 2 of 2, 4 min 35 s left"
        assert clock.hung == [] and progress_in_words(watch.progress).endswith("task 2 of 2 (45 %)")
        passing(clock, watch, 60)
    assert len(clock.hung) == 1


def test_loops_that_begin_again_say_nothing_of_the_time_left(clock, tmp_path):
    tally = Tally("brainscore", "benchmarks", 1)
    watch = watch_over(Counted(tally), tmp_path)
    with counting(tally):
        for unit in ("candidate", "region"):
            for _ in counted(range(4), unit):
                passing(clock, watch, 5)
            if unit == "candidate":
                assert watch.progress.seconds_left == pytest.approx(5)
    assert watch.progress.part == "region 4 of 4" and watch.progress.seconds_left is None


def test_matrices_that_are_made_of_images_that_are_all_there_are_told_without_a_time(clock, tmp_path):
    tally = Tally("extraction", "images", 100)
    watch = watch_over(Counted(tally), tmp_path)
    with counting(tally):
        for tally.done in (0, 50, 100):
            passing(clock, watch, 5)
        for _ in counted(range(2), "Gram matrix"):
            passing(clock, watch, 5)
    assert in_words(replace(watch.progress, images_per_second=None)) == "100 of 100 images, Gram matrix 2 of 2"
    assert progress_in_words(watch.progress).endswith("(100 %)")


def test_who_waits_for_another_process_does_not_hang(clock, tmp_path, monkeypatch):
    """A ceiling that another job computes for hours."""
    path, tally = tmp_path / "ceiling.json", Tally("brainscore", "benchmarks", 1)
    watch = watch_over(Counted(tally), tmp_path, Patience(30, 30))
    waited = []

    def passed(seconds):
        waited.append(seconds)
        passing(clock, watch, 20)
        if len(waited) == 5:
            lock_of(path).unlink()

    with held(path, "a ceiling"), counting(tally):
        monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=time.monotonic, sleep=passed))
        with held(path, "a ceiling"):
            assert len(waited) == 5 and clock.hung == []
        passing(clock, watch, 40)
    assert len(clock.hung) == 1


def test_a_job_has_its_time_limit_until_the_first_step():
    assert patience_of_job(7200, 600) == Patience(7200, 36000) and patience_of_job(7200, 10) == Patience(7200, 7200)
    assert patience_of_job(100, None) == Patience(100, 100) and patience_of_job(None, 600) == NEVER


def test_without_a_limit_nothing_hangs(clock, tmp_path):
    watch = watch_over(Steps(), tmp_path, Patience(None, None))
    passing(clock, watch, 300)
    assert clock.hung == []


def test_an_error_is_left_in_the_record_and_what_ends_well_leaves_none(tmp_path):
    path = tmp_path / "a.json"
    with held(path, "it") as lease:
        with pytest.raises(RuntimeError), watched_lease(lease, "a", Tally("extraction", "images", 5, 2)):
            raise RuntimeError("out of luck")
        found = read_progress(progress_beside(path))
        assert found is not None and found.problem == "RuntimeError: out of luck"
        with watched_lease(lease, "a", Tally("extraction", "images", 5)) as watch:
            watch.look()
            found = read_progress(progress_beside(path))
            assert found is not None and found.attempt == 2 and found.problem is None
    assert [*tmp_path.iterdir()] == []


def test_scores_of_a_job_are_counted_and_each_has_the_count_beside_its_lease(tmp_path):
    tally, paths = Tally("encoding", "subjects", 3), [tmp_path / f"{name}.json" for name in "abc"]
    paths[0].write_text("{}")  # of another process
    for path in paths:
        with making_score(path, f"score of {path.stem}", tally=tally) as lease:
            assert (lease is None) == (path == paths[0])
            path.write_text("{}")
    assert tally.done == 3 and {path.name for path in tmp_path.iterdir()} == {"a.json", "b.json", "c.json"}
    paths[1].unlink()
    with pytest.raises(RuntimeError), making_score(paths[1], "score of b", tally=tally):
        raise RuntimeError("no more memory")
    found = read_progress(progress_beside(paths[1]))
    assert found is not None and (found.name, found.done, found.problem) == (
        "score of b",
        3,
        "RuntimeError: no more memory",
    )


def test_a_record_that_cannot_be_written_is_told_of_once_and_hurts_nobody(clock, tmp_path, caplog):
    work = Steps()
    watch = replace(watch_over(work, tmp_path), record=tmp_path / "file" / "progress.json")
    (tmp_path / "file").write_text("")
    work.at(1)
    passing(clock, watch, 50)
    assert [record.message.count("progress can't be written") for record in caplog.records] == [1]


def test_a_watch_writes_where_it_began_wherever_the_process_goes(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    record, work = Path("state/progress.json"), Steps()
    work.at(3)
    with watching(work, begun(record, "run", "training", "steps", None), record) as watch:
        monkeypatch.chdir(tmp_path / "elsewhere")
        watch.look()
        watch.write()
    found = read_progress(tmp_path / record)
    assert found is not None and found.done == 3 and not list((tmp_path / "elsewhere").iterdir())


HANGING = """
import logging, sys, time
from pathlib import Path
from neuroscaling.core.hangs import Patience, ended_if_hung
from neuroscaling.core.leases import held
from neuroscaling.core.counting import Tally
from neuroscaling.core.watching import watched_lease

def waits_for_ever(watch):
    with watch.expecting(Patience(0.5, 0.5)):
        time.sleep(1000)

logging.basicConfig(level=logging.INFO)
path, tally = Path(sys.argv[1]), Tally("encoding", "subjects", 10)
with ended_if_hung(lambda error: path.with_name("told").write_text(str(error))), held(path, "it") as lease:
    with watched_lease(lease, "the artefact", tally) as watch:
        tally.done = 3
        waits_for_ever(watch)
"""


def test_a_process_that_hangs_ends_with_a_reason_tracebacks_and_a_free_lease(tmp_path):
    path = tmp_path / "a.json"
    done = subprocess.run([sys.executable, "-c", HANGING, str(path)], capture_output=True, text=True, timeout=600)
    assert done.returncode == STATUS, done.stderr
    assert "the artefact: no step for too long: it hangs" in done.stderr and "in waits_for_ever" in done.stderr
    found = read_progress(progress_beside(path))
    assert found is not None and found.done == 3 and found.problem.startswith("no step for too long")
    assert not lock_of(path).exists() and not is_held(path)
    assert "it hangs" in (tmp_path / "told").read_text()


def test_in_a_process_of_somebody_else_a_hang_is_a_warning(tmp_path, caplog):
    """A notebook that extracts activations is not ended."""
    watch = watch_over(Steps(), tmp_path, Patience(-1, -1))
    watch.look()
    assert "it hangs" in caplog.text and "test_watching.py" in caplog.text
    assert json.loads((tmp_path / "progress.json").read_text())["problem"] is None
    with watching(Counted(Tally("encoding", "subjects", 3)), watch.progress, None):
        pass
