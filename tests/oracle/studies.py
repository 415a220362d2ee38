"""The fits of the published study as arrays, for whatever wants to fit them by other means."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroscaling.laws.points import select_points
from neuroscaling.reproductions.gokce2025.published_scores import published_table
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file

Array = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
FIT_FILE = ROOT / "config/fits/published.yaml"
WITNESS_FILE = ROOT / "tests/oracle/witness_losses.json"
# Starts of the witness for each of the resamples 0, 1, ...: whole grids where they take seconds, else drawn ones.
RESAMPLES = {
    "region_it_group1": [150] * 6,
    "model_resnet_behavior": [150] * 2,
    "model_vit_neuro": [750, 40, 40, 40, 40, 40],
    "model_convnext_avg": [40] * 3,
    "compute_chinchilla": [200, 60, 60, 60, 60, 60],
}
# Forms without a published grid: the witness starts from all points of its own, for one study and its resamples.
SCORE_FORMS = ("log_linear", "power_law_ceiling", "sqrt_saturating", "logistic")
SCORE_STUDY, SCORE_RESAMPLES = "model_resnet_avg", 6


@dataclass(frozen=True)
class Study:
    """One fit in parity mode. x (n,) or (n, 2) and its scale; y: scores (n,); described: what the law describes,
    1 - y or, where the fit says so, y itself; settings: of the fit."""

    name: str
    form: str
    x: Array
    x_scale: float | list[float]
    y: Array
    described: Array
    settings: dict[str, Any]

    @property
    def scaled(self) -> Array:
        """x in the units of the law."""
        return self.x / np.asarray(self.x_scale)

    @property
    def digest(self) -> str:
        """sha256 of the points, to tell whether a result still belongs to them."""
        return self.digest_with()

    def digest_with(self, *others: Array) -> str:
        """The same of the points and of what else a result belongs to: the weights of resamples."""
        parts = (self.scaled, self.described, *others)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def tables_folder() -> Path:
    """The folder of the public tables: NEUROSCALING_PUBLISHED_DIR, else beside the repository. It may be absent."""
    return Path(os.environ.get("NEUROSCALING_PUBLISHED_DIR") or ROOT.parent / "shared/published")


def read_table(folder: Path) -> pd.DataFrame:
    """The score table of the published study."""
    return published_table(folder / "benchmark_scores.csv", folder / "seed_data_scaling.csv")


def parity_studies(table: pd.DataFrame) -> dict[str, Study]:
    """All fits of the study that are fitted as published, by name, in the order of the file."""
    jobs = [job for job in expand_fits(load_fit_file(FIT_FILE)) if job.settings["mode"] == "parity"]
    return {job.name: _study(table, job.name, job.settings) for job in jobs}


def _study(table: pd.DataFrame, name: str, settings: dict[str, Any]) -> Study:
    points = select_points(table, settings).points
    y = points["y"].to_numpy(dtype=float)
    return Study(
        name,
        settings["forms"][0],
        points[settings["x"]].to_numpy(dtype=float),
        settings["x_scale"],
        y,
        1.0 - y if settings["invert_y"] else y,
        settings,
    )
