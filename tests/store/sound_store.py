"""A store of one run whose artefacts have true records: small, and made by the library where that is quick."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.core.hashing import ArtefactName, file_sha1, file_sha256
from neuroscaling.core.records import write_record
from neuroscaling.core.score_files import ScoreFile, file_beside, write_score_file
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.pack_reading import PACK_FORMAT
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.simulate.record import FORMAT as BRAIN_FORMAT
from neuroscaling.simulate.record import files_of
from neuroscaling.stimuli.manifest import STIMULI_FORMAT
from tests.support.run_records import run_content, write_run

IMAGES = ("a", "b", "c")


def name_of(readable: str, **definition: Any) -> tuple[str, dict[str, Any]]:
    """A name in the store, and what it is a hash of."""
    return str(ArtefactName(readable, definition)), definition


RUN, RUN_DEFINITION = name_of("resnet_w8_untrained_s0", kind="untrained", seed=0)
OTHER_RUN, OTHER_DEFINITION = name_of("resnet_w8_untrained_s1", kind="untrained", seed=1)
BRAIN, BRAIN_DEFINITION = name_of("brain", seed=0)
SET, SET_DEFINITION = name_of("objects-8deg", degrees=8)
BENCHMARK, BENCHMARK_DEFINITION = name_of("IT-pls", engine="kernel")
CHOICE, CHOICE_DEFINITION = name_of("IT-pls", way="nested")


def make_sound_store(root: Path) -> Path:
    """Write the store to `root`."""
    put_subset(root)
    put_pack(root / "packs/digits-00000000/jpeg-32")
    put_run(root, RUN, RUN_DEFINITION)
    put_brain(root / "simulated" / BRAIN)
    put_stimuli(root / "stimuli" / SET)
    put_results(root, RUN)
    put_recording(root)
    downloaded = put(root / "data/brainscore/x/assembly.nc", b"a download")
    downloaded.parent.rename(root / "data/brainscore" / file_sha1(downloaded))
    return root


def put(path: Path, content: bytes) -> Path:
    """A file with `content`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_run(root: Path, run: str, definition: dict[str, Any], weights: bytes = b"weights " * 9) -> Path:
    """The folder of a run whose weights are these bytes."""
    folder = root / "runs" / run
    file = put(folder / "weights-ep0.safetensors", weights)
    history = put(folder / "history.parquet", b"one row an epoch")
    sums = {"weights_sha256": file_sha256(file), "history_sha256": file_sha256(history)}
    facts = {"definition": definition, "kind": definition["kind"], "seed": definition["seed"]}
    write_run(folder / "run.json", run_content(run, **facts, weights=file.name, **sums))
    return folder


def put_results(root: Path, run: str) -> None:
    """Activations, a choice of layers, a score with its targets, and a ceiling."""
    name, definition = name_of(SET, run=run, stimuli=SET)
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    facts = {"run": run, "definition": definition}
    path = root / "activations" / run / f"{name}.json"
    write_store(path, IMAGES, [{"layer1": values}], reduction={}, facts=facts, keep="both")
    record = {"format": "commitment/2", "definition": CHOICE_DEFINITION, "run": run, "layer": "layer1"}
    _record(root / "commitments" / CHOICE / f"{run}.json", record)
    score = root / "scores" / BENCHMARK / f"{run}.json"
    put(file_beside(score, "targets.parquet"), b"one row a target")
    scores = ScoreFile(run, "simulated-brain", True, "IT-pls", "pls", "kernel", "corrected", [], BENCHMARK_DEFINITION)
    write_score_file(score, scores, ["targets.parquet"])
    name, definition = name_of("IT-pls", part="IT")
    arrays = put(root / "ceilings" / f"{name}.npz", b"arrays")
    record = {"format": "ceiling/1", "definition": definition, "files": {"npz": file_sha256(arrays)}}
    _record(arrays.with_suffix(".json"), record)


def put_subset(root: Path) -> None:
    """Ten images of each digit."""
    index = load_index("digits", DatasetSettings("digits"), "train")
    name, definition = name_of("10-s0", subset="10", seed=0)
    path = root / f"subsets/digits-{index.fingerprint}/{name}.parquet"
    path.parent.mkdir(parents=True)
    write_subset(path, index, draw(index, 10, 0), 10, 0, definition)


def put_pack(folder: Path) -> None:
    """A split of a packed data set, whose files are no pictures."""
    files = [put(folder / name, name.encode()) for name in ("train.parquet", "train-00000.bin")]
    index, shard = ({"file": f.name, "bytes": f.stat().st_size, "sha256": file_sha256(f)} for f in files)
    facts = {"format": PACK_FORMAT, "dataset": "digits", "class_names": [], "fingerprint": "0", "form": "jpeg"}
    write_record(folder / "train.json", facts | {"index": index, "shards": [shard]})


def put_brain(folder: Path) -> None:
    """A simulated brain of one file."""
    put(folder / "truth/README.md", b"SIMULATED")
    write_record(
        folder / "manifest.json",
        {"format": BRAIN_FORMAT, "definition": BRAIN_DEFINITION, "simulated": True, "files": files_of(folder)},
    )


def put_stimuli(folder: Path) -> None:
    """A stimulus set whose images are a few bytes each."""
    rows = []
    for stimulus in IMAGES:
        data = f"image {stimulus}".encode()
        put(folder / f"images/{stimulus}.png", data)
        sha1 = hashlib.sha1(data).hexdigest()
        rows.append({"stimulus_id": stimulus, "filename": f"{stimulus}.png", "sha1": sha1})
    record = {"format": STIMULI_FORMAT, "definition": SET_DEFINITION, "set": folder.name, "stimuli": rows}
    write_record(folder / "manifest.json", record)


def put_recording(root: Path) -> None:
    """Prepared responses of a subject."""
    name, definition = name_of("nsd", space="fsaverage")
    file = put(root / "recordings" / name / "subj01/test.npy", b"responses")
    sums = {file.name: file_sha256(file)}
    write_record(file.with_name("manifest.json"), {"format": "recording/2", "definition": definition, "sha256": sums})


def _record(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, record)
