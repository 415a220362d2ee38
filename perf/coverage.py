"""How often 95 % intervals of bootstraps hold the truth: planted laws of every form, over noise and number of points.

Two tables: independent noise with resampled rows; and cells of three seeds that share an error, with resampled rows and
with resampled cells. For each parameter and for the curve in the middle of the data: the share of simulated data sets
whose interval holds the true value, and the median relative error of the fit (of the curve: of the score, absolute).
A share near 95 % of 40 data sets has a standard error of 3.4 %, of the 160 of a form one of 1.7 %. `--quick`: 5 sets.
"""

import os
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import RESULTS, cpu_seconds, machine, quick
from tests.support.planted import PLANTED, SCALE, planted, sizes, true_scores

from neuroscaling.core.files import write_json
from neuroscaling.core.provenance import provenance
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.law_fit import LawFit

NOISE, POINTS = (0.005, 0.02), (30, 300)
SETS, BOOTSTRAPS = 40, 200
CELLS, SEEDS = 40, 3
CELL_ERROR, SEED_ERROR = 0.015, 0.005
CLUSTERED = ("power_law", "chinchilla", "power_law_ceiling", "log_linear")


def main() -> None:
    sets = 5 if quick(__doc__) else SETS
    seconds, content = cpu_seconds(
        lambda: {"independent": list(independent(sets)), "cells_with_shared_error": list(clustered(sets))}
    )
    about = {
        "command": "python perf/coverage.py", "versions": provenance(("numpy",))["versions"], "machine": machine(),
        "sets": sets, "bootstraps": BOOTSTRAPS, "nominal": 0.95, "cpu_seconds": round(seconds),
    }  # fmt: skip
    write_json(RESULTS / "coverage.json", about | content)


def independent(sets: int) -> Iterable[dict[str, Any]]:
    """A row for every form, noise and number of points, and one for each form's mean over them."""
    for form in PLANTED:
        rows = []
        for noise, n in product(NOISE, POINTS):
            data = [planted(form, n, noise, seed) for seed in range(sets)]
            laws = [_fitted(form, x, y, seed) for seed, (x, y) in enumerate(data)]
            rows.append(_row({"form": form, "noise": noise, "n": n, "resampled": "rows"}, form, laws))
        yield from rows
        shares = {name: round(float(np.mean([r["coverage"][name] for r in rows])), 3) for name in rows[0]["coverage"]}
        yield _printed({"form": form, "noise": "all", "n": "all", "resampled": "rows", "coverage": shares})


def clustered(sets: int) -> Iterable[dict[str, Any]]:
    """Rows for cells whose seeds share an error: rows resampled, and cells."""
    cells = np.repeat(np.arange(CELLS), SEEDS)
    for form in CLUSTERED:
        data = [_cells(form, seed) for seed in range(sets)]
        for resampled, labels in (("rows", None), ("cells", cells.tolist())):
            laws = [_fitted(form, x, y, seed, labels) for seed, (x, y) in enumerate(data)]
            facts = {"form": form, "cell_error": CELL_ERROR, "noise": SEED_ERROR, "n": len(cells)}
            yield _row(facts | {"resampled": resampled}, form, laws)


def _cells(form: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three seeds of each of 40 sizes; what is particular to a cell moves its three scores together."""
    rng = np.random.default_rng([seed, list(PLANTED).index(form)])
    x = np.repeat(sizes(form, CELLS) * SCALE, SEEDS, axis=0)
    shared = np.repeat(rng.normal(0, CELL_ERROR, CELLS), SEEDS)
    return x, true_scores(form, x) + shared + rng.normal(0, SEED_ERROR, len(shared))


def _fitted(form: str, x: np.ndarray, y: np.ndarray, seed: int, clusters: list[int] | None = None) -> LawFit:
    return fit(x, y, form=form, x_scale=SCALE, bootstraps=BOOTSTRAPS, clusters=clusters, seed=seed)


def _row(facts: dict[str, Any], form: str, laws: list[LawFit]) -> dict[str, Any]:
    """Coverage and median relative error of every parameter and of the curve; printed and returned."""
    row: dict[str, Any] = facts | {"coverage": {}, "median_error": {}}
    for name, true in PLANTED[form][1].items():
        intervals = np.array([law.ci[name] for law in laws])
        values = np.array([law.params[name] for law in laws])
        row["coverage"][name] = _share(intervals, true)
        row["median_error"][name] = round(float(np.median(values)) / true - 1, 4)
    middle = np.full((1, 2), 30.0 * SCALE) if form == "chinchilla" else np.array([100.0 * SCALE])
    true = float(true_scores(form, middle)[0])
    row["coverage"]["curve"] = _share(np.array([law.band(middle)[[0, -1], 0] for law in laws]), true)
    row["median_error"]["curve"] = round(float(np.median([law.predict(middle)[0] for law in laws])) - true, 5)
    return _printed(row)


def _printed(row: dict[str, Any]) -> dict[str, Any]:
    facts = [str(value).ljust(6) for key, value in row.items() if key not in ("coverage", "median_error")]
    print("  ".join(facts), "  ".join(f"{name} {share:.2f}" for name, share in row["coverage"].items()), flush=True)
    return row


def _share(intervals: np.ndarray, true: float) -> float:
    return round(float(np.mean((intervals[:, 0] <= true) & (true <= intervals[:, 1]))), 3)


if __name__ == "__main__":
    main()
