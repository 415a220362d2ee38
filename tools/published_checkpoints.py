"""Write the table of the published study's checkpoints, `study/published_checkpoints.txt`, from its public tables.

    python -m tools.published_checkpoints FOLDER

FOLDER holds `model_checkpoints.csv` and `benchmark_scores.csv` of epflneuroailab/scaling-primate-vvs (MIT licence).
Networks without a row in the table of scores are left out: nothing says which architecture they are.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.study.published_checkpoints import PUBLISHED_CHECKPOINTS, PUBLISHED_COLUMNS, PUBLISHED_SERVER

CHECKPOINTS, SCORES = "model_checkpoints.csv", "benchmark_scores.csv"
AVERAGED = ("convnext", "deit")
"""Architectures whose averaged weights were scored (`load_model_ema` of the published code)."""


def main(folder: Path) -> None:
    """Write the table anew."""
    rows = {name: list(_rows(folder / name)) for name in (CHECKPOINTS, SCORES)}
    facts = {row["model_id"]: row for row in rows[SCORES]}
    epochs: dict[str, list[int]] = defaultdict(list)
    for row in rows[CHECKPOINTS]:
        name, epoch = row["model_id"], int(row["epoch"])
        assert row["checkpoint_url"] == f"{PUBLISHED_SERVER}/{name}/ep{epoch}.pt"
        epochs[name].append(epoch)
    sums = ", ".join(f"{name} sha256 {file_sha256(folder / name)}" for name in rows)
    lines = [
        "# Checkpoints of Gokce & Schrimpf 2025 (github.com/epflneuroailab/scaling-primate-vvs, MIT licence).",
        f"# Written by tools/published_checkpoints.py from {sums}.",
        "\t".join(PUBLISHED_COLUMNS),
        *("\t".join(_line(facts[name], sorted(found))) for name, found in sorted(epochs.items()) if name in facts),
    ]
    with atomic_path(PUBLISHED_CHECKPOINTS) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(path: Path) -> "csv.DictReader[str]":
    return csv.DictReader(path.read_text(encoding="utf-8").splitlines())


def _line(row: dict[str, str], epochs: list[int]) -> list[str]:
    series = (
        "ablation"
        if row["is_ablation"] == "True"
        else row["ssl_method"]
        if row["is_ssl"] == "True"
        else "adversarial"
        if row["is_adv"] == "True"
        else "supervised"
    )
    averaged = str(int(row["arch"].startswith(AVERAGED)))
    flops = f"{float(row['total_flops']):.17g}" if row["total_flops"] else ""
    known = [row[name] for name in ("dataset", "samples_per_class", "seed", "n_samples", "n_epochs")]
    return [row["model_id"], row["arch"], series, *known, flops, row["acc"], averaged, _ranges(epochs)]


def _ranges(epochs: list[int]) -> str:
    """Epochs in few words: `1-10,15-100/5`."""
    words, i = [], 0
    while i < len(epochs):
        step = epochs[i + 1] - epochs[i] if i + 1 < len(epochs) else 1
        j = i
        while j + 1 < len(epochs) and epochs[j + 1] - epochs[j] == step:
            j += 1
        j = j if j > i + 1 else i
        words.append(str(epochs[i]) if j == i else f"{epochs[i]}-{epochs[j]}" + (f"/{step}" if step > 1 else ""))
        i = j + 1
    return ",".join(words)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
