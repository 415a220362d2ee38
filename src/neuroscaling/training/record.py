"""What a run leaves in its folder: weights, history, run.json (docs/formats.md)."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import nn

from neuroscaling.errors import NeuroscalingError
from neuroscaling.files import atomic_path, read_json, write_json
from neuroscaling.hashing import file_sha256
from neuroscaling.models.cost import count
from neuroscaling.models.weights import save_weights
from neuroscaling.provenance import provenance

HISTORY = pa.schema(
    [(name, pa.int64()) for name in ("epoch", "step", "images_seen")]
    + [(name, pa.float64()) for name in ("learning_rate", "train_loss", "val_loss", "val_accuracy", "seconds")]
)
COPIED = (
    "run",
    "kind",
    "arch",
    "family",
    "dataset",
    "fingerprint",
    "samples_per_class",
    "subset_seed",
    "seed",
    "recipe",
)
PACKAGES = ("torch", "timm", "numpy", "safetensors")


def is_complete(run: dict[str, Any], out: Path) -> bool:
    """Does `out` hold this run, whole, with the weights that its run.json tells of?"""
    try:
        record = read_json(out / "run.json")
    except NeuroscalingError:
        return False
    if record.get("run") != run["run"] or not (out / "history.parquet").is_file():
        return False
    if record["weights"] is None:
        return True
    weights = out / record["weights"]
    return weights.is_file() and file_sha256(weights) == record["weights_sha256"]


def write_run(
    run: dict[str, Any],
    out: Path,
    model: nn.Module | None,
    history: list[dict[str, Any]],
    n_samples: int | None,
    n_epochs: int | None,
    seconds: float,
    device: str,
) -> None:
    """Write weights (where there is a `model`), history and, last, run.json.

    n_samples: training images; n_epochs: passes over them; None where nobody knows (pretrained networks). `acc` is the
    last validation accuracy; `flops = 2 macs` of one forward pass; `total_flops = 3 flops n_samples_seen`.
    """
    out.mkdir(parents=True, exist_ok=True)
    weights, digest = None, None
    if model is not None:
        weights = f"weights-ep{n_epochs or 0}.safetensors"
        save_weights(model, out / weights, {"run": run["run"], "arch": run["arch"], "epoch": str(n_epochs or 0)})
        digest = file_sha256(out / weights)
    write_history(out / "history.parquet", history)
    cost = {"n_params": 0, "macs": 0} if model is None else count(run["arch"])
    accuracies = [row["val_accuracy"] for row in history if row["val_accuracy"] is not None]
    seen = None if n_samples is None or n_epochs is None else n_samples * n_epochs
    record = {
        "format": "run/1",
        **{key: run.get(key) for key in COPIED},
        **cost,
        "n_classes": getattr(model, "num_classes", None),
        "n_samples": n_samples,
        "n_epochs": n_epochs,
        "n_samples_seen": seen,
        "flops": 2 * cost["macs"],
        "total_flops": None if seen is None else 3 * 2 * cost["macs"] * seen,
        "acc": accuracies[-1] if accuracies else None,
        "weights": weights,
        "weights_sha256": digest,
        "seconds": round(seconds, 3),
        "provenance": provenance(PACKAGES, seconds, device=device),
    }
    write_json(out / "run.json", record)


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write one row an epoch; missing numbers are null."""
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(history, schema=HISTORY), temporary)
