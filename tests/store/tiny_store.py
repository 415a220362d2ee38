"""A store of two runs, laid out by hand: names and bytes alone, so that looking through it can be tested."""

from pathlib import Path

from neuroscaling.core.records import write_record

RUNS = ("resnet18_digits_10_s0-11111111", "resnet18_digits_all_s0-22222222")
SET = "objects-8deg-33333333"
FILES = {
    "subsets/digits-aaaaaaaa/10-s0-44444444.parquet": 100,
    "packs/digits-aaaaaaaa/jpeg-32/train.json": 10,
    "packs/digits-aaaaaaaa/jpeg-32/train.parquet": 20,
    "packs/digits-aaaaaaaa/jpeg-32/train-00000.bin": 30,
    "simulated/brain-55555555/manifest.json": 10,
    "simulated/brain-55555555/truth/a.npy": 90,
    f"stimuli/{SET}/manifest.json": 10,
    f"stimuli/{SET}/images/a.png": 40,
    "recordings/nsd-66666666/subj01/manifest.json": 5,
    "recordings/nsd-66666666/subj01/test.npy": 15,
    "ceilings/IT-pls-77777777.json": 3,
    "ceilings/IT-pls-77777777.npz": 4,
    "data/published/benchmark_scores.csv": 25,
    ".cache/fingerprint-1.json": 3,
    "notes/readme.txt": 9,
}
OF_A_RUN = {
    "runs/{run}/run.json": 10,
    "runs/{run}/history.parquet": 20,
    "runs/{run}/weights-ep1.safetensors": 1000,
    "activations/{run}/objects-8deg-33333333-88888888.json": 10,
    "activations/{run}/objects-8deg-33333333-88888888.zarr/layer1/c/0/0": 500,
    "commitments/IT-pls-99999999/{run}.json": 4,
    "scores/IT-pls-aaaabbbb/{run}.json": 6,
    "scores/IT-pls-aaaabbbb/{run}.targets.parquet": 14,
}


def make_store(root: Path) -> Path:
    """Write the store to `root`."""
    for name, size in FILES.items():
        put(root / name, size)
    for run in RUNS:
        for name, size in OF_A_RUN.items():
            put(root / name.format(run=run), size)
    return root


def put(path: Path, size: int) -> Path:
    """A file of `size` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * size)
    return path


def start_study(folder: Path, study: str, names: list[str]) -> Path:
    """Leave what a start of `study` in `folder` leaves: the list of the artefacts that it wants."""
    file = folder / "results" / study / "artefacts.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_record(file, {"format": "artefacts/1", "names": names})
    return folder


def names_of_run(run: str) -> list[str]:
    """What a study that wants `run` and its score names."""
    return [
        f"runs/{run}/run.json",
        "subsets/digits-aaaaaaaa/10-s0-44444444.parquet",
        f"stimuli/{SET}/manifest.json",
        f"activations/{run}/objects-8deg-33333333-88888888.json",
        f"commitments/IT-pls-99999999/{run}.json",
        f"scores/IT-pls-aaaabbbb/{run}.json",
    ]
