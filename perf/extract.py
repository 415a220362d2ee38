"""Extraction of ResNet-18 at 224 pixels: against its forward pass alone, and against Brain-Score's PytorchWrapper.

First part, CPU seconds of the same images, batch and type: all eight blocks with each reduction, decoding, writing,
Gram matrices and the check of the files included, against the forward pass alone on images that are decoded already
(ratio .7 or more is the goal). Second part: the same network, layers and images in brainscore_vision's extractor, each
side in a process of its own: CPU seconds without imports, and peak memory, for 2, 4 and 8 blocks. `agreement` is the
largest relative difference of the layers' sums over features. Random weights, noise images.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import cpu_seconds, quick, report, row
from PIL import Image

from neuroscaling.activations.extraction import extract
from neuroscaling.activations.networks import exact_and_fast, normalise
from neuroscaling.activations.stimulus_images import Preprocessing, load
from neuroscaling.core.hashing import file_sha1, file_sha256
from neuroscaling.core.images import ImageFile
from neuroscaling.core.records import DONE, RunRecord, write_record, write_run_record
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from neuroscaling.stimuli.manifest import STIMULI_FORMAT
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import ExtractionOptions, FeatureOptions, Layers, Reduction

ROOT = Path(__file__).parents[1]
BRAINSCORE = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or ROOT / ".venv/brainscore/bin/python")
ARCH, SIZE, BATCH = "torchvision.resnet18", 224, 64
BLOCKS = [f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2)]
READOUT = "avgpool"
PLAIN, GRAM = FeatureOptions(), FeatureOptions(keep="gram")
REDUCTIONS = {
    "none, no codec": (Reduction(), PLAIN, "none"),
    "none, zstd": (Reduction(), PLAIN, "zstd"),
    "grid": (Reduction(kind="grid", size=4), PLAIN, "zstd"),
    "max": (Reduction(kind="max", size=4), PLAIN, "zstd"),
    "projection": (Reduction(kind="projection", components=1000), PLAIN, "zstd"),
    "gram alone": (Reduction(), GRAM, "zstd"),
}
RUN = Run("resnet18-00000000", "untrained", ARCH, "ResNet")

OURS = """
import json, sys, time
from pathlib import Path
from neuroscaling.activations.extraction import extract
import neuroscaling.activations.networks
from neuroscaling.study.extraction_job import ExtractionJob
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.sections.extraction import ExtractionOptions
from neuroscaling.study.sections.extraction import Layers
from neuroscaling.study.run_table import Run
run, folder, output, layers, options = json.loads(sys.argv[1])
folder, asked = Path(folder), FeatureSpec(Layers(**layers))
start = time.process_time()
job = ExtractionJob(Run(*run), folder, folder / "manifest.json", Path(output), asked)
extract(job, ExtractionOptions(**options), device="cpu")
seconds = time.process_time() - start
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
print(json.dumps({"seconds": seconds, "peak": peak}))
"""
PEER = """
import functools, json, sys, time
import numpy as np
import torch, torchvision
from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_preprocess_images
weights, paths, layers, batch, sums = json.loads(sys.argv[1])
model = torchvision.models.resnet18()
model.load_state_dict({key: torch.from_numpy(value) for key, value in np.load(weights).items()})
preprocessing = functools.partial(load_preprocess_images, image_size=224)
wrapper = PytorchWrapper(identifier="resnet18", model=model, preprocessing=preprocessing, batch_size=batch)
start = time.process_time()
found = wrapper(paths, layers=layers)
seconds = time.process_time() - start
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
np.savez(sums, **{layer: found.values[:, found["layer"].values == layer].sum(1, dtype=np.float64) for layer in layers})
print(json.dumps({"seconds": seconds, "peak": peak}))
"""


def prepare(folder: Path, n: int) -> list[Path]:
    """A run with random weights and a stimulus set of `n` images, in `folder`; paths of the images."""
    (folder / "images").mkdir()
    rng, rows, paths = np.random.default_rng(0), [], []
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        paths.append(folder / "images" / f"{i:04}.png")
        coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(paths[-1])
        rows.append({"stimulus_id": f"s{i}", "filename": paths[-1].name, "sha1": file_sha1(paths[-1])})
    content = {"format": STIMULI_FORMAT, "set": "noise", "degrees": 8, "simulated": True, "stimuli": rows}
    write_record(folder / "manifest.json", content)
    model = build(ARCH, 1000, 0)
    save_weights(model, folder / "weights.safetensors", {"arch": ARCH})
    np.savez(folder / "weights.npz", **{key: value.numpy() for key, value in model.state_dict().items()})
    sha256 = file_sha256(folder / "weights.safetensors")
    facts = {"arch": ARCH, "weights": "weights.safetensors", "weights_sha256": sha256}
    record = RunRecord(run=RUN.run, kind=RUN.kind, status=DONE, **facts)
    write_run_record(folder / "run.json", record)
    return paths


def forward_alone(paths: list[Path]) -> Callable[[], None]:
    """The network's forward pass over all images, decoded beforehand."""
    model, device = build(ARCH, 1000, 0).eval(), torch.device("cpu")
    files = [ImageFile(path) for path in paths]
    portions = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    batches = [normalise(images, device) for images in load(portions, Preprocessing(SIZE))]

    def run() -> None:
        with exact_and_fast(device, "none"):
            for images in batches:
                model(images)

    return run


def extract_with(folder: Path, name: str, turn: int) -> None:
    """Extract all blocks and the readout with the reduction and options called `name`."""
    reduction, options, codec = REDUCTIONS[name]
    output = folder / f"{turn}-{name.replace(', ', '-')}.json"
    asked = FeatureSpec(Layers(candidates=BLOCKS, readout=READOUT), reduction, options)
    job = ExtractionJob(RUN, folder, folder / "manifest.json", output, asked)
    extract(job, ExtractionOptions(batch=BATCH, codec=codec), device="cpu")


def with_reductions(folder: Path, paths: list[Path], repeats: int) -> list[dict]:
    """Extraction with each reduction against the forward pass alone; all take turns."""
    alone = forward_alone(paths)
    alone()
    times: dict[str, list[float]] = {name: [] for name in REDUCTIONS}
    forward = []
    for turn in range(repeats):
        for name in REDUCTIONS:
            forward.append(cpu_seconds(alone)[0])
            times[name].append(cpu_seconds(partial(extract_with, folder, name, turn))[0])
    peer = statistics.median(forward)
    return [row(f"{name} / forward", statistics.median(found), peer, 0) for name, found in times.items()]


def process(python: Path | str, script: str, arguments: list) -> dict:
    """What a script prints as its last line, run in a process of its own."""
    settings = {"PYTHONPATH": str(ROOT / "src"), "RESULTCACHING_DISABLE": "1", "BS_INSTALL_DEPENDENCIES": "no"}
    environment = os.environ | settings
    command = [str(python), "-c", script, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def against_wrapper(folder: Path, paths: list[Path], layers: list[str]) -> list[dict]:
    """CPU seconds and peak memory of both sides for `layers`."""
    from neuroscaling.activations.zarr_reading import open_store

    output, sums = folder / f"ours-{len(layers)}.json", folder / f"peer-{len(layers)}.npz"
    run, asked = [RUN.run, RUN.kind, RUN.arch, RUN.family], {"candidates": layers, "readout": layers[-1]}
    ours = process(sys.executable, OURS, [run, str(folder), str(output), asked, {"batch": BATCH, "codec": "none"}])
    arguments = [str(folder / "weights.npz"), [str(path) for path in paths], layers, BATCH, str(sums)]
    peer = process(BRAINSCORE, PEER, arguments)
    stored, theirs = open_store(output), np.load(sums)
    off = max(
        np.abs(stored.read(layer).sum(1, dtype=np.float64) - theirs[layer]).max() / np.abs(theirs[layer]).max()
        for layer in layers
    )
    return [
        row(f"PytorchWrapper, {len(layers)} layers", ours["seconds"], peer["seconds"], off),
        row(f"PytorchWrapper, {len(layers)} layers", ours["peak"], peer["peak"], off, "MiB"),
    ]


if __name__ == "__main__":
    small = quick(__doc__)
    with tempfile.TemporaryDirectory(prefix="extract-") as name:
        images = prepare(Path(name), 64 if small else 128)
        lines = with_reductions(Path(name), images, 1 if small else 2)
        for number in (2, 8) if small else (2, 4, 8):
            lines += against_wrapper(Path(name), images, BLOCKS[:number])
    report("extract", lines)
