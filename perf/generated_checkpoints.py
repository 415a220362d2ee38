"""Checkpoints of all 60 architectures of the published study, generated in Composer's layout, through extraction.

For each, a trainer's state with made-up weights is written as the public code has it (prefixes, averaged weights of
ConvNeXts and DeiTs, heads of 1,000 or 565 classes, torchvision's names). A table makes it a run, whose blocks and
logits are extracted for two images. The peer reads the same file with torch.load and runs the public network. Seconds
are of the CPU. `agreement` is the largest difference of the logits, and of the blocks that both call the same,
relative to the largest value of each. file_mb: the file; layers: those that are extracted; compared: those that are
compared. One architecture at a time; its files are deleted. `--quick` takes one of each kind. No published file is
read.
"""

import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import cpu_seconds, quick, report, row
from PIL import Image
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.checkpoint_states import composer_state, published_network

from neuroscaling.activations.extraction import extract
from neuroscaling.activations.networks import normalise
from neuroscaling.activations.stimulus_images import load, preprocessing
from neuroscaling.activations.zarr_reading import Activations, open_store
from neuroscaling.core.hashing import file_sha1
from neuroscaling.core.images import ImageFile
from neuroscaling.core.records import write_record
from neuroscaling.models.batch_independence import exact
from neuroscaling.models.build import skeleton
from neuroscaling.models.heads import head_names
from neuroscaling.stimuli.manifest import STIMULI_FORMAT
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.published_checkpoints import published_checkpoints
from neuroscaling.study.run_table import RunJob, expand_runs
from neuroscaling.study.sections.extraction import ExtractionOptions, Layers
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.training.train import train

QUICK = ("alexnet", "convnextflex-l-0", "deitflex-l-0", "efficientnet_b0", "resnet18", "resnetflexfilters-d-1-0-0-0")
CLASSES = {"imagenet": 1000, "ecoset": 565}
DATASETS = tuple(CLASSES)
EPOCH = 100
SCALES, MEANS = ("layer_scale", "gamma", "running_var"), "running_mean"
"""Tensors that are alike, or 0, before any training, so that it would not show whether they are read."""


def architectures() -> dict[str, bool]:
    """The architectures of the published study's fits, and whether averaged weights of them are taken."""
    found = published_checkpoints()
    return {one.arch: bool(one.ema) for one in found if one.series == "supervised" and one.dataset in DATASETS}


def made_up(arch: str, classes: int) -> nn.Module:
    """The public network with weights that no tensor has by default."""
    network = published_network(arch, classes)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith(SCALES):
                value.uniform_(0.5, 1.5)
            elif name.endswith(MEANS):
                value.normal_(0, 0.1)
    return network.eval()


def write_stimuli(folder: Path) -> list[Path]:
    """Two images, and the manifest of a stimulus set of them; their paths."""
    rng, rows, paths = np.random.default_rng(0), [], []
    (folder / "images").mkdir(parents=True)
    for i in range(2):
        paths.append(folder / "images" / f"{i}.png")
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        coarse.resize((224, 224), Image.Resampling.BICUBIC).save(paths[-1])
        rows.append({"stimulus_id": f"s{i}", "filename": paths[-1].name, "sha1": file_sha1(paths[-1])})
    content = {"format": STIMULI_FORMAT, "set": "noise", "degrees": 8, "simulated": True, "stimuli": rows}
    write_record(folder / "manifest.json", content)
    return paths


def of_architecture(arch: str, averaged: bool, dataset: str, folder: Path) -> dict[str, Any]:
    """A row of the architecture: its file as a run that is extracted, and as torch and the public network have it."""
    paths, file = write_stimuli(folder / "stimuli"), folder / f"ep{EPOCH}.pt"
    torch.manual_seed(0)
    network = made_up(arch, CLASSES[dataset])
    average = made_up(arch, CLASSES[dataset]) if averaged else None
    torch.save(composer_state(network, average, EPOCH), file)
    del network, average
    size = file.stat().st_size
    (head,) = head_names(arch, skeleton(arch, CLASSES[dataset]))
    ours, store = cpu_seconds(lambda: extracted(arch, averaged, dataset, file, head))
    peer, expected = cpu_seconds(lambda: public_outputs(arch, averaged, dataset, file, paths, store.layers))
    found = {layer: store.read(layer) for layer in (*filter(None, expected), head)}
    differences = [difference(found[name or head], value) for name, value in expected.items()]
    facts = {"file_mb": round(size / 1e6, 1), "layers": len(store.layers), "compared": len(differences)}
    return row(arch, ours, peer, max(differences)) | facts


def extracted(arch: str, averaged: bool, dataset: str, file: Path, head: str) -> Activations:
    """The file as a run of a study that names it in a table, and its blocks and logits as the store has them."""
    folder, table = file.parent, file.parent / "table.csv"
    table.write_text(
        f"id,arch,path,dataset,epoch,ema\na,{arch},{file.name},{dataset},{EPOCH},{str(averaged).lower()}\n"
    )
    (run,) = expand_runs(Study.model_validate({"study": "a", "runs": [{"checkpoints": str(table)}]}), {})
    job = RunJob(run, None, folder / "store" / "runs" / run.run)
    if (problem := train(job, TrainingOptions(device="cpu"))) is not None:
        raise RuntimeError(problem)
    output = folder / "activations.json"
    asked = FeatureSpec(Layers(candidates=["block", head]))
    extract(
        ExtractionJob(run, job.out, folder / "stimuli/manifest.json", output, asked), ExtractionOptions(), device="cpu"
    )
    return open_store(output)


def public_outputs(
    arch: str, averaged: bool, dataset: str, file: Path, paths: list[Path], layers: list[str]
) -> dict[str, np.ndarray]:
    """The logits, under an empty name, and outputs of those of `layers` that the public network calls the same."""
    state = torch.load(file, weights_only=False)["state"]
    weights = state["model_ema_state_dict" if averaged else "model"]
    network = published_network(arch, CLASSES[dataset]).eval()
    network.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    found: dict[str, np.ndarray] = {}
    modules = dict(network.named_modules())
    for name in (name for name in layers if name in modules):
        modules[name].register_forward_hook(kept(found, name))
    (images,) = load([[ImageFile(path) for path in paths]], preprocessing(arch, "checkpoint"))
    with exact():
        logits = network(normalise(images, torch.device("cpu")))
    return found | {"": logits.numpy()}


def kept(found: dict[str, np.ndarray], name: str) -> Any:
    """A hook that keeps the last output of a module, features of an image in a row."""

    def hook(module: nn.Module, given: Any, output: torch.Tensor) -> None:
        found[name] = output.detach().flatten(1).clone().numpy()

    return hook


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, relative to the largest value. Raises ValueError for outputs that tell nothing."""
    if one.shape != other.shape or not np.isfinite(other).all() or (other[0] == other[1]).all():
        raise ValueError(f"outputs of the shapes {one.shape} and {other.shape} that can't be compared")
    return float(np.abs(one - other).max() / np.abs(other).max())


def main() -> None:
    """Every architecture in turn."""
    chosen = architectures()
    if quick(__doc__):
        chosen = {arch: averaged for arch, averaged in chosen.items() if arch in QUICK}
    rows = []
    for i, (arch, averaged) in enumerate(sorted(chosen.items())):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(of_architecture(arch, averaged, DATASETS[i % 2], Path(folder)))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        gc.collect()
    report("generated_checkpoints", rows)


if __name__ == "__main__":
    main()
