"""Curves of a training also go to TensorBoard or Weights & Biases, where a study asks for it.

They are a convenience: what fails there is told once, and the training goes on.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from neuroscaling.core.errors import Problem
from neuroscaling.core.installation import missing_extra
from neuroscaling.core.progress import Progress
from neuroscaling.study.run_table import Run
from neuroscaling.training.run_folder import EpochRow

log = logging.getLogger(__name__)
FOLDER = Path("logs")
"""Beside the logs of jobs: TensorBoard's files in `tensorboard/<run>`, those of Weights & Biases in `wandb`."""
PROJECT = "neuroscaling"
"""Of Weights & Biases, unless WANDB_PROJECT names another."""
SHOWN = {"train_loss": "train/loss", "learning_rate": "train/learning_rate"}
SHOWN |= {"val_loss": "validation/loss", "val_accuracy": "validation/accuracy"}


class CurveLog(Protocol):
    """Where curves of one run go."""

    def add(self, values: dict[str, float], step: int) -> None:
        """Values by their names, after `step` steps."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class TensorBoard:
    """Event files in `logs/tensorboard/<run>`. step: that the training goes on from; what was written after it goes."""

    def __init__(self, run: Run, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(FOLDER / "tensorboard" / run.run), purge_step=step + 1 if step else None)

    def add(self, values: dict[str, float], step: int) -> None:
        """One point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases that has this one's name, and goes on where it was. WANDB_MODE, WANDB_PROJECT count."""

    def __init__(self, run: Run, step: int):
        import wandb

        FOLDER.mkdir(exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=run.run,
            name=run.run,
            group=run.arch,
            config=settings_of(run),
            dir=str(FOLDER),
            resume="allow",
            settings=wandb.Settings(console="off", disable_git=True, save_code=False),
        )

    def add(self, values: dict[str, float], step: int) -> None:
        """One point of each curve; all of a step in one call, since steps may not go back."""
        self._run.log(values, step=step)

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


KINDS: dict[str, Callable[[Run, int], CurveLog]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


@dataclass
class CurveLogs:
    """All curve logs of one training. sent: rows of the history that they have."""

    names: tuple[str, ...] = ()
    logs: dict[str, CurveLog] = field(default_factory=dict)
    sent: int = 0

    @classmethod
    def of(cls, names: Sequence[str]) -> "CurveLogs":
        """Those that are asked for, by name."""
        return cls(tuple(names))

    def begin(self, run: Run, step: int, rows: int) -> None:
        """Open them for `run`, which goes on from `step`, with so many rows that the tries before it have sent."""
        self.sent = rows
        for name in self.names:
            self._guarded(name, partial(self._open, name, run, step))

    def add(self, rows: list[EpochRow], progress: Progress | None) -> None:
        """Send the rows that are new, and where the training stands now."""
        if not self.logs:
            return
        new, self.sent = rows[self.sent :], len(rows)
        points = [(_of_row(row), row.step) for row in new]
        if progress is not None and progress.done > (rows[-1].step if rows else -1):
            points.append((_of_progress(progress), progress.done))
        for values, step in points:
            for name, one in list(self.logs.items()):
                self._guarded(name, partial(one.add, values, step))

    def close(self) -> None:
        """Close them."""
        for name, one in list(self.logs.items()):
            self._guarded(name, one.close)
        self.logs.clear()

    def _open(self, name: str, run: Run, step: int) -> None:
        self.logs[name] = KINDS[name](run, step)

    def _guarded(self, name: str, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:
            log.warning("nothing more goes to %s: %s: %s", name, type(error).__name__, error)
            self.logs.pop(name, None)


def settings_of(run: Run) -> dict[str, Any]:
    """What tells a run from others, in plain values."""
    keys = ("run", "arch", "family", "dataset", "samples_per_class", "subset_seed", "seed", "start")
    recipe = run.recipe.model_dump(mode="json") if run.recipe else None
    return {key: getattr(run, key) for key in keys} | {"recipe": recipe}


def missing_logs(names: Sequence[str]) -> list[Problem]:
    """Packages that curve logs need and that are not installed, with the extra to install."""
    missing = (name for name in names if find_spec(name) is None)
    found = (missing_extra(ModuleNotFoundError(f"No module named {name!r}", name=name)) for name in missing)
    return [problem for problem in found if problem is not None]


def _of_row(row: EpochRow) -> dict[str, float]:
    values = {shown: getattr(row, key) for key, shown in SHOWN.items()}
    return {"epoch": row.epoch} | {name: value for name, value in values.items() if value is not None}


def _of_progress(progress: Progress) -> dict[str, float]:
    values = {"train/loss_of_epoch": progress.loss, "train/images_per_second": progress.images_per_second}
    return {name: value for name, value in values.items() if value is not None}
