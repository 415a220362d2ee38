"""A training is watched while it goes on: its record, its history, its curves, and whether it gets on at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from neuroscaling.core.hangs import Patience
from neuroscaling.core.leases import Lease
from neuroscaling.core.progress import STATE_FOLDER, Progress, begun, progress_of_run
from neuroscaling.core.records import HISTORY_FILE
from neuroscaling.core.watching import Standing, watching
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.curve_logs import CurveLogs
from neuroscaling.training.distributed import rank, world
from neuroscaling.training.loop import Training
from neuroscaling.training.run_folder import EpochRow, RunFailed, write_history


@dataclass
class LiveTraining:
    """What a watch sees of the training of `run`.

    training: set when its first step is next; None while images, network and state are prepared. It is looked at from
    the watch's thread: numbers of Python alone, no tensors, so that no GPU is waited for.
    """

    run: Run
    folder: Path
    curves: CurveLogs
    training: Training | None = None
    kept: int = 0

    def begins(self, training: Training) -> None:
        """The first step is next, from the state that `training` is in."""
        self.curves.begin(self.run, training.progress.step, len(training.progress.history))
        self.training = training

    def standing(self) -> Standing | None:
        """How far the training is."""
        training = self.training
        if training is None:
            return None
        progress, epochs = training.progress, training.recipe.epochs
        rows = list(progress.history)
        images = progress.loss_images
        loss = progress.loss_sum / images if images else next(_known(rows, "train_loss"), None)
        return Standing(
            done=progress.step,
            total=training.plan.n_steps,
            images=progress.images_seen,
            rows=len(rows),
            epoch=min(progress.epoch, epochs),
            epochs=epochs,
            loss=loss,
            accuracy=next(_known(rows, "val_accuracy"), None),
        )

    def keep(self, progress: Progress) -> None:
        """The history as far as it goes, in the run's state folder; and the curves."""
        if self.training is None:
            return
        rows = list(self.training.progress.history)
        if len(rows) != self.kept:
            write_history(self.folder / STATE_FOLDER / HISTORY_FILE, rows)
            self.kept = len(rows)
        self.curves.add(rows, progress)

    def end(self) -> None:
        """The last rows of the curves."""
        if self.training is not None:
            self.curves.add(list(self.training.progress.history), None)
        self.curves.close()


@contextmanager
def live_training(
    job: RunJob, device: torch.device, options: TrainingOptions, lease: Lease | None
) -> Iterator[LiveTraining]:
    """Watch the training of `job` for the length of the block.

    Process 0, which has the lease, writes; each process ends itself where it hangs. A failure of the run is no word of
    this try: it has a record of its own.
    """
    record = progress_of_run(job.out)
    progress = replace(begun(record, job.run.run, "training", "steps", None), device=device.type, processes=world())
    live = LiveTraining(job.run, job.out, CurveLogs.of(options.log_to if rank() == 0 else ()))
    patience = Patience(options.hang_seconds, options.first_step_seconds)
    failure: RunFailed | None = None
    own = record if rank() == 0 else None
    try:
        with watching(live, progress, own, patience, lease, record.parent):
            try:
                yield live
            except RunFailed as error:
                failure = error
    finally:
        live.end()
    if failure is not None:
        raise failure


def _known(rows: list[EpochRow], key: str) -> Iterator[float]:
    """Values of a column, the last first."""
    return (value for row in reversed(rows) if (value := getattr(row, key)) is not None)
