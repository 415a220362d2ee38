"""Weights that are kept while a run goes on, and at its end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuroscaling.hashing import file_sha256
from neuroscaling.models.weights import save_weights
from neuroscaling.training.distributed import rank
from neuroscaling.training.loop import Training
from neuroscaling.training.recipe import Recipe
from neuroscaling.training.schedule import checkpoint_epochs


def weights_name(epoch: int) -> str:
    """File of the weights after `epoch`."""
    return f"weights-ep{epoch}.safetensors"


def keeper(run: dict[str, Any], out: Path, recipe: Recipe) -> Callable[[Training, int], dict[str, Any] | None]:
    """What writes the weights of an epoch, where they are kept: gives `epoch, file, sha256` of the file in `out`."""
    epochs = checkpoint_epochs(recipe)

    def keep(training: Training, epoch: int) -> dict[str, Any] | None:
        if epoch not in epochs or rank() > 0:
            return None
        return write_weights(run, training.scored, out, epoch, training.n_classes)

    return keep


def write_weights(run: dict[str, Any], network: Any, out: Path, epoch: int, n_classes: int) -> dict[str, Any]:
    """Write the weights of `network` after `epoch` to the folder `out`; `epoch, file, sha256` of the file.

    With them goes what the network was made from: architecture, number of classes (0: without a head) and seed.
    """
    path = out / weights_name(epoch)
    facts = {"run": run["run"], "arch": run["arch"], "epoch": str(epoch), "classes": str(n_classes)}
    seed = {} if run.get("seed") is None or run["kind"] == "pretrained" else {"seed": str(run["seed"])}
    save_weights(network, path, facts | seed)
    return {"epoch": epoch, "file": path.name, "sha256": file_sha256(path)}
