"""What jobs take at their peak (ours), beside what the plan asks for them (peer): megabytes of 10^6 bytes.

Each artefact of small studies is made by `neuroscaling job`, in a process of its own whose kernel tells its peak. To it
is added the peak of the Snakemake that starts a script, whose memory is the job's too. The ratio says how many times
more was asked for than was taken: below 1 a scheduler kills the job at its first try. Networks have random weights,
images and responses are drawn at random (SIMULATED); nothing runs on a GPU. Lite2 sees images of 260 pixels.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from common import quick, report, row
from PIL import Image

from neuroscaling.cli.job import steps_of
from neuroscaling.planning.job_resources import Asked, JobResources
from neuroscaling.planning.network_shapes import note_shapes
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.own_arrays import OwnArrays, read_own_stimuli
from neuroscaling.study.wanted import Targets

ROOT = Path(__file__).parents[1]
JOB = """
import sys
from neuroscaling.cli.main import main
from neuroscaling.core.provenance import peak_memory
if main(["job", *sys.argv[1:]]):
    raise SystemExit(1)
print(peak_memory()["peak_mb"])
"""
SNAKEMAKE = """
import sys
import snakemake.cli
from neuroscaling.core.provenance import peak_memory
try:
    snakemake.cli.main(["--directory", sys.argv[1], "--snakefile", sys.argv[2], "--cores", "1", "--quiet", "all"])
except SystemExit as ended:
    assert not ended.code
print(peak_memory()["peak_mb"])
"""
RULE = 'from neuroscaling.study import start_records\nrule one:\n    output: touch("made")\n    run: pass\n'
WEIGHTS = """
import sys
import timm
from safetensors.torch import save_file
save_file(timm.create_model(sys.argv[1]).state_dict(), sys.argv[2])
print(0)
"""
SMALL = "resnet18"
MEDIUM = ("convnext_tiny", "vit_base", "tf_efficientnet_lite2")
LARGE = "deit_huge"
PRETRAINED = "eva02_large_patch14_clip_224"
"""Read from a file, as networks that others trained are."""
DIGITS = {"archs": ["resnet_w32"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [3]}
PIXELS = 64


def study_of(folder: Path, runs: list[dict[str, Any]], images: int, units: int = 0, **more: Any) -> LoadedStudy:
    """A study of `runs` in a folder of its own, which are shown all images in one batch, or in batches of 64.

    units: targets of made-up responses; 0: the few that a study needs to have images at all.
    """
    folder.mkdir()
    (folder / "images").mkdir()
    draws = np.random.default_rng(0)
    for i in range(images):
        pixels = draws.integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{i:04d}.png", compress_level=1)
    np.save(folder / "responses.npy", draws.standard_normal((images, units or 2), dtype=np.float32))
    (folder / "units.csv").write_text("region\n" + "V1\n" * (units or 2))
    arrays = {"source": "arrays", "name": "made-up", "data": {"local": str(folder)}, "images": "images"}
    arrays |= {"responses": "responses.npy", "units": "units.csv", "axes": ["images", "units"], "simulated": True}
    content = {
        "study": folder.name,
        "store": str(folder / "store"),
        "datasets": {"digits": {"format": "digits"}},
        "runs": runs,
        "extraction": {"batch": min(images, 64)},
        "reduction": {"kind": "grid", "size": 4},
        "encoding": [arrays | {"split": {"test": 0.2, "seed": 0}} | more.pop("encoding", {})],
    } | more
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_study(path)


def peak_of(*command: str) -> float:
    """Megabytes that a Python process took at most, which prints them last."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def asks(study: LoadedStudy) -> Iterator[tuple[str, str, JobResources | None]]:
    """What is to be made: its name in the store, what it is, and what a job that makes it asks for."""
    targets = Targets(study)
    asked = Asked(targets)
    batch = study.config.extraction.batch
    for name in [name for name, _ in steps_of(study) if name.startswith(("stimuli/", "subsets/"))]:
        yield name, name.partition("/")[0], None
    for one in targets.names.subjects:
        title = f"recordings, {len(read_own_stimuli(OwnArrays.of(one.entry)).ids)} images"
        yield f"recordings/{one.data}/{one.subject}", title, asked.preparation(one.data, one.subject)
    for run in study.runs.values():
        title = f"{run.kind} {run.arch}"
        yield f"runs/{run.run}", f"making, {title}", asked.making([run])
        for images in targets.sets.values():
            name = study.store.name_of(targets.activations(run, images)).removesuffix(".json")
            yield name, f"extraction, {title}, batch {batch}", asked.extraction([(run.run, images.name)])
        for subject in targets.names.subjects:
            name = study.store.name_of(targets.encoding(run, subject).path(study.store)).removesuffix(".json")
            metrics = " and ".join(subject.entry.metrics)
            yield name, f"encoding, {run.arch}, {metrics}", asked.encoding([run], [subject])


def measured(study: LoadedStudy, beside: float, encoded: bool) -> Iterator[dict[str, Any]]:
    """A row of each job of a study. beside: MB of Snakemake; encoded: also those that score."""
    note_shapes([run.arch for run in study.runs.values()], study.store.cache())
    # Asked for before anything is made: what is recorded of a job counts for the next.
    for name, title, resources in list(asks(study)):
        if encoded or not title.startswith(("encoding", "recordings")):
            peak = peak_of(JOB, str(study.file), name)
            if resources:
                yield told(row(title, peak + beside, resources.mem_mb, 0.0, "MB"))


def told(line: dict[str, Any]) -> dict[str, Any]:
    """The row, printed: the next one may take minutes."""
    print(*line.values(), flush=True)
    return line


def main() -> None:
    """Measure Snakemake, and the jobs of networks of several sizes."""
    small = quick(__doc__)
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(RULE)
        beside = peak_of(SNAKEMAKE, str(folder), str(folder / "Snakefile"))
        rows = list(measured(study_of(folder / "small", [{"untrained": [SMALL]}], 32, 100), beside, small))
        if not small:
            asked = {"metrics": ["ridge", "pls"], "ridge": {"memory_mb": 500}}
            one_layer = {"resnet_w32": {"candidates": ["layer2.0"]}}
            many = study_of(folder / "many", [DIGITS], 1200, 12_000, encoding=asked, layers=one_layer)
            rows += measured(many, beside, True)
            rows += measured(study_of(folder / "medium", [{"untrained": list(MEDIUM)}], 64), beside, False)
            weights = folder / f"{PRETRAINED}.safetensors"
            peak_of(WEIGHTS, PRETRAINED, str(weights))
            runs = [{"untrained": [LARGE]}, {"pretrained": [PRETRAINED], "weights": str(folder)}]
            rows += measured(study_of(folder / "large", runs, 8), beside, False)
    report("memory", rows, quiet=True)


if __name__ == "__main__":
    main()
