"""What banded ridge and stacking gain over the best single layer, on held-out images of each V4 session.

`python perf/layer_gains.py STORE` reads the values by neuron beside the scores of a study with
`metrics: [ridge, banded, stacking]`, and takes the largest number of mapping images. For each run and session: mean
Pearson r of the best single layer (`ridge`), and the mean difference to it with its 95 % interval over neurons
(percentiles of 10,000 bootstraps of the differences; images are not resampled).
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from neuroscaling.core.table_files import read_parquet_columns

COLUMNS = ("subject", "metric", "n_mapping", "vertex", "r")
COMBINED = ("banded", "stacking")
HEADER = ("run", "session", "neurons", "mapping images", "best layer, r", *COMBINED)
N_DRAWS = 10_000


def interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of the neurons' differences (n,)."""
    drawn = np.random.default_rng(seed).integers(len(differences), size=(N_DRAWS, len(differences)))
    low, high = np.percentile(differences[drawn].mean(1), (2.5, 97.5))
    return float(low), float(high)


def gains(run: str, session: str, n_mapping: int, r: dict[str, np.ndarray]) -> dict:
    """A row of the table. r: by metric, (neurons,)."""
    row = {"run": run, "session": session, "n_mapping": n_mapping, "neurons": len(r["ridge"])}
    row["ridge"] = round(float(r["ridge"].mean()), 4)
    for metric in COMBINED:
        difference = r[metric] - r["ridge"]
        row[metric] = [round(value, 4) for value in (float(difference.mean()), *interval(difference))]
    return row


def rows_of(file: Path) -> list[dict]:
    """Rows of one file of values by neuron; none where it lacks one of the metrics."""
    table = {name: np.asarray(values) for name, values in read_parquet_columns(file, COLUMNS, "score again").items()}
    rows, run = [], file.name.partition(".targets.")[0]
    for session in np.unique(table["subject"]):
        own = (table["subject"] == session) & (table["n_mapping"] == table["n_mapping"].max())
        r: dict[str, np.ndarray] = defaultdict(lambda: np.empty(0))
        for metric in ("ridge", *COMBINED):
            mine = np.flatnonzero(own & (table["metric"] == metric))
            r[metric] = table["r"][mine[np.argsort(table["vertex"][mine])]]
        if all(len(r[metric]) for metric in ("ridge", *COMBINED)):
            rows.append(gains(run, str(session), int(table["n_mapping"].max()), r))
    return rows


def main() -> None:
    """Print the table in Markdown."""
    files = sorted(Path(sys.argv[1]).glob("scores/*/*.targets.parquet"))
    rows = sorted((row for file in files for row in rows_of(file)), key=lambda row: (row["run"], row["session"]))
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for row in rows:
        changes = ("{:+.3f} [{:+.3f}, {:+.3f}]".format(*row[metric]) for metric in COMBINED)
        first = (row["run"], row["session"], row["neurons"], row["n_mapping"], f"{row['ridge']:.3f}")
        print("| " + " | ".join(map(str, (*first, *changes))) + " |")


if __name__ == "__main__":
    main()
