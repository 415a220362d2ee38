"""`extract` of Python against Thingsvision: ResNet-18, the same weights, images and layers, each in its own process.

CPU seconds without imports, and peak memory above that after the imports. Thingsvision keeps all features in memory,
and makes a second copy when it joins the batches; with `output_dir` it writes them to files of numpy as it goes. Ours
is a checked Zarr store that is opened lazily. Its time includes checksums of images and weights, the count of the
network's operations, and compression. `agreement` is the largest difference of any value, relative to the largest of
its layer. Noise images of 224 pixels, random weights, CPU.

Thingsvision pins old versions of torch and numpy, so it needs an environment of its own. Name its Python:

    NEUROSCALING_THINGSVISION_PYTHON=/path/to/python .venv/main/bin/python perf/thingsvision.py

One that shares the packages of .venv/main: `python -m venv VENV`, a file main.pth in its folder of packages that holds
the path of that of .venv/main, then `pip install --no-deps thingsvision` and what its import misses: tensorflow-cpu and
what that needs, torchtyping, typeguard<3, open-clip-torch, ftfy, regex, transformers and others.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import quick, report, row
from PIL import Image

from neuroscaling.api.extraction import open_activations
from neuroscaling.models.build import build

VARIABLE = "NEUROSCALING_THINGSVISION_PYTHON"
ARCH, SIZE, BATCH = "torchvision.resnet18", 224, 32
LAYERS = [f"layer{stage}.1" for stage in range(1, 5)]

MEMORY = """
def status(key):
    return int(next(line for line in open("/proc/self/status") if line.startswith(key)).split()[1]) / 1024
def measured(work):
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before, start = status("VmRSS"), time.process_time()
    found = work()
    return {"seconds": time.process_time() - start, "peak": status("VmHWM") - before}, found
"""
OURS = f"""
import json, sys, time
import neuroscaling as ns
import neuroscaling.activations.extraction, neuroscaling.activations.networks, neuroscaling.training.train
{MEMORY}
arch, images, layers, weights, store, batch = json.loads(sys.argv[1])
cost, found = measured(lambda: ns.extract(arch, images, layers, weights=weights, path=store, batch=batch, device="cpu"))
print(json.dumps(cost | {{"store": found.attrs["store"]}}))
"""
PEER = f"""
import json, sys, time
import torch, torchvision  # ahead of tensorflow: the other way round the process dies
import numpy as np
if not hasattr(np, "AxisError"):
    np.AxisError = np.exceptions.AxisError  # Thingsvision asks for numpy below 2
from thingsvision import get_extractor_from_model
from thingsvision.utils.data import DataLoader, ImageDataset
{MEMORY}
images, layers, weights, out, batch, on_disk = json.loads(sys.argv[1])
transforms = torchvision.transforms.Compose([
    torchvision.transforms.ToTensor(),
    torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
])
def work():
    model = torchvision.models.resnet18()
    model.load_state_dict(torch.load(weights, weights_only=True))
    extractor = get_extractor_from_model(model=model, device="cpu", backend="pt")
    dataset = ImageDataset(root=images, out_path=out, backend="pt", transforms=transforms)
    batches = DataLoader(dataset=dataset, batch_size=batch, backend="pt")
    where = {{"output_dir": out, "step_size": 1}} if on_disk else {{}}
    return extractor.extract_features(
        batches=batches, module_names=layers, flatten_acts=True, output_type="ndarray", **where
    )
cost, found = measured(work)
if not on_disk:
    np.savez(out + "/features.npz", **found)
print(json.dumps(cost))
"""


def prepare(folder: Path, n: int) -> tuple[Path, Path]:
    """Images, and a file of weights of torchvision's network."""
    images, rng = folder / "images", np.random.default_rng(0)
    images.mkdir()
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(images / f"{i:04}.png")
    weights = folder / "resnet18.pt"
    torch.save(build(ARCH, 1000, 0).state_dict(), weights)
    return images, weights


def measured(python: str, code: str, arguments: list[Any], folder: Path) -> dict[str, Any]:
    """What a process of its own prints last; it starts in `folder`, so that this file does not shadow the package."""
    command = [python, "-c", code, json.dumps(arguments)]
    threads = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, **threads})
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def difference(store: str, features: Path) -> float:
    """Largest difference of a value, relative to the largest of its layer; layer by layer."""
    ours, worst = open_activations(Path(store)), 0.0
    with np.load(features) as theirs:
        for layer in LAYERS:
            expected = theirs[layer]
            found = ours[layer]["activations"].values
            worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst


def main() -> None:
    """Print the table and write perf/results/thingsvision.json; without Thingsvision's Python, say how to name it."""
    n = 64 if quick(__doc__) else 500
    python = os.environ.get(VARIABLE)
    if not python:
        print(f"left out: set {VARIABLE} to a Python that has Thingsvision (see this script)")
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        images, weights = prepare(folder, n)
        ours = [ARCH, str(images), LAYERS, str(weights), str(folder / "store"), BATCH]
        mine = measured(sys.executable, OURS, ours, folder)
        theirs = {}
        for on_disk in (False, True):
            out = folder / f"theirs-{on_disk}"
            out.mkdir()
            theirs[on_disk] = measured(
                python, PEER, [str(images), LAYERS, str(weights), str(out), BATCH, on_disk], folder
            )
        apart = difference(mine["store"], folder / "theirs-False" / "features.npz")
    rows = []
    for on_disk, peer in theirs.items():
        case = f"{n} images, {'to files' if on_disk else 'in memory'}"
        rows.append(row(case, mine["seconds"], peer["seconds"], apart))
        rows.append(row(case, mine["peak"], peer["peak"], apart, unit="MiB peak"))
    report("thingsvision", rows)


if __name__ == "__main__":
    main()
