"""Records of runs for tests: whole ones, as training leaves them, but for what a test changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroscaling.core.records import RUN_FORMAT, write_record


def run_content(name: str = "resnet_w8_digits_10_s0-00000000", **changes: Any) -> dict[str, Any]:
    """What run.json states of a small run that was trained, without a definition that its name would have to fit."""
    record = {
        "run": name, "kind": "trained", "status": "done", "arch": "resnet_w8", "family": "ResNet", "dataset": "digits",
        "samples_per_class": 10, "seed": 0, "n_params": 12000, "macs": 100, "flops": 200, "n_samples": 100,
        "n_epochs": 5, "n_samples_seen": 500, "total_flops": 300000, "acc": 0.5, "weights": None, "checkpoints": [],
    }  # fmt: skip
    return record | changes


def write_run(path: Path, content: Mapping[str, Any]) -> Path:
    """Write `content` as the run.json at `path`, without a name that it would have to have."""
    write_record(path, {**content, "format": RUN_FORMAT})
    return path
