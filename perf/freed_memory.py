"""Freed memory that a job keeps against glibc's own thresholds: CPU seconds, page faults and peak memory of each stage.

Each stage's artefact of a small study is made twice by `neuroscaling job`, in processes of its own: as every job works
(`ours`), and with arrays above 32 MB given back to the system as they are freed (`peer`). Networks are
EfficientNet-Lite0 with ImageNet weights at 224 pixels and a small one that is trained on digits; recordings are
SIMULATED. CPU seconds include the kernel's, and imports. `agreement`: 0 where both sides wrote the same numbers.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from common import quick, report, row

from neuroscaling.activations.zarr_reading import open_store

ROOT = Path(__file__).parents[1]
JOB = """
import json, resource, sys
from neuroscaling.core import machine
if sys.argv[1] == "given back":
    machine.keep_freed_memory = lambda: False
from neuroscaling.cli.main import main
if main(["job", *sys.argv[2:]]):
    raise SystemExit(1)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_stime, used.ru_minflt, used.ru_maxrss / 1024]))
"""
KEPT, GIVEN_BACK = "kept", "given back"


def study_of(folder: Path, small: bool) -> Path:
    """A study with one network of each kind, one simulated brain with fMRI, and a law."""
    brain = {"algonauts_subjects": 1, "algonauts_train": 60 if small else 240, "algonauts_test": 40, "vertices": 2000}
    digits = {
        "archs": ["resnet_w32"],
        "datasets": ["digits"],
        "recipe": "digits",
        "samples_per_class": [3 if small else 30],
    }
    study = {
        "study": "memory",
        "store": str(folder / "store"),
        "datasets": {"digits": {"format": "digits"}},
        "runs": [{"pretrained": ["tf_efficientnet_lite0"]}, digits],
        "reduction": {"kind": "grid", "size": 4},
        "simulated": {"brain": brain},
        "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}}],
    }
    path = folder / "memory.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def made(side: str, study: Path, name: str, *folder: str) -> tuple[list[float], Path]:
    """What a job of the study used, in a process of its own, and the path of what it made."""
    command = [sys.executable, "-c", JOB, side, str(study), name, *folder]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    if done.returncode:
        raise SystemExit(done.stderr)
    path, used = done.stdout.splitlines()[-2:]
    return json.loads(used), Path(path)


def wanted(study: Path, room: str, of: str = "") -> str:
    """The name of the study's one artefact in a room of the store, of the network `of`."""
    from neuroscaling.cli.job import steps_of
    from neuroscaling.study.loaded_study import load_study

    return next(name for name, _ in steps_of(load_study(study)) if name.startswith(f"{room}/") and of in name)


def compared(case: str, study: Path, name: str, folder: Path) -> list[dict[str, Any]]:
    """Rows of one stage; afterwards the store has what it makes."""
    kept, first = made(KEPT, study, name, "--folder", str(folder / "ours"))
    given, second = made(GIVEN_BACK, study, name, "--folder", str(folder / "peer"))
    off = 0.0 if first.suffix != ".json" or numbers(first) == numbers(second) else 1.0
    made(KEPT, study, name)
    units = ("CPU s", "kernel s", "faults", "MiB")
    return [row(case, max(a, 0.01), b, off, unit) for unit, a, b in zip(units, kept, given, strict=True)]


def numbers(manifest: Path) -> Any:
    """What a manifest of activations, or a file of scores, says of numbers."""
    content = json.loads(manifest.read_text())
    if "rows" in content:
        return content["rows"]
    stored = open_store(manifest)
    return [stored.read(layer).tobytes() for layer in stored.layers]


def main() -> None:
    """Measure training, extraction and encoding."""
    small = quick(__doc__)
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        folder = Path(name)
        study = study_of(folder, small)
        made(KEPT, study, wanted(study, "simulated"))
        made(KEPT, study, wanted(study, "stimuli"))
        made(KEPT, study, wanted(study, "subsets"))
        made(KEPT, study, wanted(study, "runs", "lite0"))
        lines = compared("training, small network", study, wanted(study, "runs", "digits"), folder)
        lines += compared("extraction, Lite0", study, wanted(study, "activations", "lite0"), folder)
        lines += compared("encoding, Lite0", study, wanted(study, "scores", "lite0"), folder)
    report("freed_memory", lines)


if __name__ == "__main__":
    main()
