"""The fitting engine against the published solver (tests/oracle/witness.py): CPU seconds of one thread, and losses.

Four tables: a bootstrap of every form, theirs and ours on the same resamples in this process; the whole published study
in both modes, and what its laws stand on; 1,000 to 10,000 bootstraps; a table of 100,000 rows. Of grids with 750 and
4,500 starts the witness is measured on 60 starts drawn at random and multiplied; `--full` runs the whole grids instead
(about ten minutes).
Needs the public tables: see docs/data.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import RESULTS, cpu_seconds, machine
from tests.oracle import witness
from tests.oracle.studies import FIT_FILE, Study, parity_studies, read_table, tables_folder

from neuroscaling.core.files import write_json
from neuroscaling.core.provenance import provenance
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.influence import influence_of
from neuroscaling.laws.study_fit import FittedPoints, fit_points
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file

CASES = [
    ("power_law", "region_it_group1"),
    ("power_law", "compute_neuro"),
    ("power_law_shift", "region_it_group2"),
    ("power_law_shift", "model_vit_neuro"),
    ("power_law_shift", "model_convnext_avg"),
    ("chinchilla", "compute_chinchilla"),
    ("log_linear", "model_resnet_avg"),
    ("power_law_ceiling", "model_resnet_avg"),
    ("sqrt_saturating", "model_resnet_avg"),
    ("logistic", "model_resnet_avg"),
]
PUBLISHED_FORMS = ("power_law", "power_law_shift", "chinchilla")
GOALS = {"power_law_shift": 1000, "chinchilla": 1000}
GOAL, BOOTSTRAPS, LARGE_GRID, DRAWN_STARTS = 300, 1000, 500, 60
COUNTS = (1000, 2000, 5000, 10_000)
LARGE_ROWS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the witness runs whole grids")
    parser.add_argument("--alone", nargs=2, metavar=("PART", "VALUE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = tables_folder()
    if not folder.is_dir():
        sys.exit(f"no public tables in {folder}: set NEUROSCALING_PUBLISHED_DIR to their folder (docs/data.md)")
    if options.alone:
        part, value = options.alone
        print(json.dumps(PARTS[part](value)))
        return
    studies = parity_studies(read_table(folder))
    content = {
        "command": f"python perf/laws.py{' --full' if options.full else ''}",
        "versions": provenance(("numpy", "scipy"))["versions"],
        "machine": machine(),
        "bootstrap_of_each_form": table(
            "one bootstrap, CPU s", [compared(form, studies[name], options.full) for form, name in CASES]
        ),
        "published_study": table(
            "45 fits x 1,000 bootstraps", [alone("study", mode) for mode in ("parity", "corrected")]
        ),
        "number_of_bootstraps": table("bootstraps of region_it_group1", growth(studies["region_it_group1"])),
        "large_table": table(f"{LARGE_ROWS} rows", [alone("large", count) for count in ("200", "1000")]),
    }
    write_json(RESULTS / "laws.json", content)


def compared(form: str, study: Study, full: bool) -> dict[str, Any]:
    """One form on one study: CPU seconds of a bootstrap on both sides, and how the losses of the same resamples
    compare. Ours includes the fit of all points and everything before the bootstraps."""
    described = study.described if form in PUBLISHED_FORMS else study.y
    fit(study.x, study.y, form=form, x_scale=study.x_scale, bootstraps=2, mode="parity")  # imports, caches
    seconds, law = cpu_seconds(
        lambda: fit(study.x, study.y, form=form, x_scale=study.x_scale, bootstraps=BOOTSTRAPS, mode="parity")
    )
    grid = witness.grid(form)
    resamples = 5 if len(grid) < LARGE_GRID else 2
    starts = grid if full or len(grid) < LARGE_GRID else _drawn(grid)
    weights = resample_weights(len(study.y), BOOTSTRAPS)[:resamples]
    peer, found = cpu_seconds(
        lambda: [witness.solve(form, study.scaled, described, row, starts).loss for row in weights]
    )
    peer = peer / resamples * len(grid) / len(starts)
    excess = law.resampled_loss[:resamples] / np.array(found) - 1
    goal = GOALS.get(form, GOAL)
    return {
        "form": form, "study": study.name, "points": len(study.y), "ours": _short(seconds / BOOTSTRAPS),
        "witness": _short(peer), "ratio": round(peer * BOOTSTRAPS / seconds), "goal": goal, "grid": len(grid),
        "starts_measured": len(starts), "resamples": resamples, "not_worse": int(np.sum(excess <= 1e-6)),
        "largest_excess": _short(excess.max()), "largest_gain": _short(-excess.min()),
    }  # fmt: skip


def growth(study: Study) -> list[dict[str, Any]]:
    """CPU seconds of more and more bootstraps, and of each thousand relative to the first."""
    rows = []
    for count in COUNTS:
        seconds = cpu_seconds(
            lambda count=count: fit(study.x, study.y, x_scale=study.x_scale, bootstraps=count, mode="parity")
        )[0]
        first = rows[0]["seconds"] if rows else seconds
        relative = seconds / first / (count / COUNTS[0])
        rows.append({"bootstraps": count, "seconds": _short(seconds), "of_linear": round(relative, 2)})
    return rows


def study_alone(mode: str) -> dict[str, Any]:
    """All fits of the published study that exist in both modes, in `mode`, with all that goes into their files."""
    table = read_table(tables_folder())
    jobs = expand_fits(load_fit_file(FIT_FILE))
    parity = {job.name for job in jobs if job.settings["mode"] == "parity"}
    chosen = [job for job in jobs if job.settings["mode"] == mode and job.settings["fit"] in parity]
    fitted = {job.name: cpu_seconds(lambda job=job: fit_points(table, job.settings)) for job in chosen}
    seconds = {name: spent for name, (spent, _) in fitted.items()}
    without = {job.name: cpu_seconds(lambda job=job: _influence(fitted[job.name][1], job.settings)) for job in chosen}
    slowest = max(seconds, key=lambda name: seconds[name])
    return {
        "mode": mode, "fits": len(seconds), "cpu_minutes": _short(sum(seconds.values()) / 60), "goal_minutes": 10,
        "without_groups_cpu_minutes": _short(sum(spent for spent, _ in without.values()) / 60),
        "goal_without_groups": 30, "groups": sum(len(found.groups) for _, (found, _) in without.values()),
        "slowest": slowest, "its_seconds": _short(seconds[slowest]), "peak_mb": _peak_mb(), "goal_mb": 1000,
    }  # fmt: skip


def _influence(found: FittedPoints, settings: dict[str, Any]) -> Any:
    return influence_of(found.laws, found.selection, settings)


def large_alone(bootstraps: str) -> dict[str, Any]:
    """A power law through 100,000 simulated points."""
    rng = np.random.default_rng(0)
    x = 10.0 ** rng.uniform(1, 6, LARGE_ROWS)
    y = 1 - 0.5 - 0.3 * (x / 10) ** -0.3 + rng.normal(0, 0.02, LARGE_ROWS)
    seconds, law = cpu_seconds(lambda: fit(x, y, x_scale=10.0, bootstraps=int(bootstraps)))
    return {
        "bootstraps": int(bootstraps), "cpu_seconds": _short(seconds), "peak_mb": _peak_mb(), "goal_mb": 2000,
        "E": [_short(value) for value in (law.params["E"], *law.ci["E"])],
    }  # fmt: skip


PARTS = {"study": study_alone, "large": large_alone}


def alone(part: str, value: str) -> dict[str, Any]:
    """One part in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--alone", part, value]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def table(title: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print the rows under a title; returns them."""
    width = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    print(f"\n{title} ({time.strftime('%H:%M:%S')})")
    for line in [dict(zip(width, width, strict=True)), *rows]:
        print("  ".join(str(line[key]).ljust(width[key]) for key in width), flush=True)
    return rows


def _drawn(grid: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    chosen = np.random.default_rng(0).choice(len(grid), DRAWN_STARTS, replace=False)
    return [grid[i] for i in chosen]


def _peak_mb() -> int:
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
