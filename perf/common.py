"""What the comparisons share: timing, the machine's description, the table and the file of results."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("case", "ours", "peer", "unit", "ratio", "agreement")


def quick(description: str | None) -> bool:
    """Whether `--quick` was given: a smaller problem, under a minute on two cores."""
    return options(description).quick


def options(description: str | None, **switches: str) -> argparse.Namespace:
    """`quick`, and further switches by their name and help."""
    parser = argparse.ArgumentParser(description=description)
    for name, text in {"quick": "a smaller problem", **switches}.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    return parser.parse_args()


def cpu_seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call (all threads of this process), and what it returned."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def row(case: str, ours: float, peer: float, agreement: float, unit: str = "CPU s") -> dict[str, Any]:
    """One line of a comparison; ratio: how many times better ours is; agreement: largest relative difference."""
    ratio = round(peer / ours, 2)
    return dict(
        zip(COLUMNS, (case, round(ours, 3), round(peer, 3), unit, ratio, float(f"{agreement:.1e}")), strict=True)
    )


def machine() -> dict[str, Any]:
    """The machine, as far as it tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    described = {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }
    torch = sys.modules.get("torch")
    there = torch is not None and torch.cuda.is_available()
    return described | ({"gpu": torch.cuda.get_device_name()} if there else {})


def report(topic: str, rows: list[dict[str, Any]], keep: bool = False, quiet: bool = False) -> None:
    """Print the table and write perf/results/<topic>.json, whole or not at all.

    keep: its other cases too, which were measured before, on the same GPU if there is one; quiet: print nothing.
    """
    for line in [] if quiet else [dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]:
        print("  ".join(str(line[column]).ljust(24 if column == "case" else 9) for column in COLUMNS))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{topic}.json"
    new = {row["case"] for row in rows}
    here = machine()
    before = json.loads(file.read_text()) if keep and file.is_file() else {"machine": here, "rows": []}
    same = before["machine"].get("gpu") == here.get("gpu")
    rows = [row for row in before["rows"] if same and row["case"] not in new] + rows
    written = file.with_suffix(".partial")
    written.write_text(json.dumps({"machine": here, "rows": rows}, indent=1) + "\n")
    written.replace(file)
