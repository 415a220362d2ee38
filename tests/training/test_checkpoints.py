"""When the state of a training is saved, by a clock that the test turns, and what a signal does."""

import os
import signal
from types import SimpleNamespace

import pytest

from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training import checkpoints
from neuroscaling.training.checkpoints import Checkpoints, heeding_signals
from neuroscaling.training.launch import SIGNALS


class Feed:
    """Images of a training: `settle` is asked where too many were refused."""

    def __init__(self):
        self.refused, self.settled = False, 0

    def settle(self):
        self.settled += 1


@pytest.fixture
def clock(monkeypatch):
    """Seconds that only the test lets pass; saving takes `saving` of them."""
    now = SimpleNamespace(seconds=0.0, saving=0.0, saved=[], sound=True)

    def save_state(folder, step, state):
        now.seconds += now.saving
        now.saved.append((step, state))

    # Of this module alone: other threads of the process have their own time.
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    monkeypatch.setattr(checkpoints, "save_state", save_state)
    monkeypatch.setattr(checkpoints, "snapshot", lambda training, definition: definition)
    monkeypatch.setattr(checkpoints, "is_sound", lambda training: now.sound)
    return now


def of_ten_epochs(folder, **changes):
    progress = SimpleNamespace(step=0, epoch=1)
    training = SimpleNamespace(run="run", progress=progress, feed=Feed(), recipe=SimpleNamespace(epochs=10))
    often = {"every_seconds": TrainingOptions().checkpoint_seconds} | changes
    return Checkpoints(training, folder, "definition", last=0.0, **often)


def steps_saved(clock, kept, n, seconds):
    """Steps after which a state is saved, of `n` steps of `seconds` each."""
    for step in range(1, n + 1):
        clock.seconds += seconds
        kept.training.progress.step = step
        kept.after_step()
    return [step for step, _ in clock.saved]


def test_states_are_saved_every_so_many_seconds(clock, tmp_path):
    assert steps_saved(clock, of_ten_epochs(tmp_path, every_seconds=5), 20, 1) == [5, 10, 15, 20]
    assert {state for _, state in clock.saved} == {"definition"}


def test_a_minute_passes_where_nothing_is_said(clock, tmp_path):
    assert steps_saved(clock, of_ten_epochs(tmp_path), 13, 10) == [6, 12]


def test_states_are_saved_every_so_many_steps(clock, tmp_path):
    assert steps_saved(clock, of_ten_epochs(tmp_path, every_steps=4), 9, 0) == [4, 8]
    assert of_ten_epochs(tmp_path).every_steps is None


def test_a_state_that_takes_long_to_write_is_written_less_often(clock, tmp_path):
    clock.saving = 2.0
    assert steps_saved(clock, of_ten_epochs(tmp_path, every_seconds=5), 250, 1) == [5, 105, 205]  # 50 x 2 s between


def test_no_state_is_saved_while_losses_are_not_finite(clock, tmp_path):
    kept = of_ten_epochs(tmp_path, every_seconds=5)
    clock.sound = False
    assert steps_saved(clock, kept, 8, 1) == []
    clock.sound = True
    assert steps_saved(clock, kept, 1, 1) == [1]  # at once, since none was saved meanwhile


@pytest.mark.parametrize("seconds, every, saved", [(1.9, 60, 0), (2.0, 60, 1), (1.0, 1, 1), (0.5, 1, 0)])
def test_an_epochs_end_is_saved_unless_a_state_is_a_moment_old(seconds, every, saved, clock, tmp_path):
    kept = of_ten_epochs(tmp_path, every_seconds=every)
    clock.seconds += seconds
    kept.after_epoch()
    assert len(clock.saved) == saved


@pytest.mark.parametrize("next_epoch, saved", [(10, 1), (11, 0)])
def test_nothing_is_saved_when_training_is_over(next_epoch, saved, clock, tmp_path):
    kept = of_ten_epochs(tmp_path)
    kept.training.progress.epoch = next_epoch
    clock.seconds += 100
    kept.after_epoch()
    assert len(clock.saved) == saved


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_after_the_step_and_ends_with_its_status(number, clock, tmp_path, caplog):
    kept, before = of_ten_epochs(tmp_path), signal.getsignal(number)
    with heeding_signals(kept):
        steps_saved(clock, kept, 3, 0)
        os.kill(os.getpid(), number)
        assert kept.stop == number and clock.saved == []
        with pytest.raises(SystemExit) as left:
            steps_saved(clock, kept, 1, 0)
    assert left.value.code == 128 + number and [step for step, _ in clock.saved] == [1]
    assert f"told to stop ({number.name}) after step 1" in caplog.text
    assert signal.getsignal(number) == before


def test_refused_images_are_settled_at_once(clock, tmp_path):
    kept = of_ten_epochs(tmp_path)
    kept.after_step()
    assert kept.training.feed.settled == 0
    kept.training.feed.refused = True
    kept.after_step()
    assert kept.training.feed.settled == 1 and clock.saved == []


def test_of_several_processes_the_first_writes_and_all_do_as_one_is_told(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "any_of", lambda *flags: (True, *flags[1:]))  # another process was told to stop
    for rank, saved in ((1, 0), (0, 1)):
        monkeypatch.setattr(checkpoints, "rank", lambda rank=rank: rank)
        kept = of_ten_epochs(tmp_path)
        with pytest.raises(SystemExit) as left:
            kept.after_step()
        assert left.value.code == 128 + signal.SIGTERM and len(clock.saved) == saved
