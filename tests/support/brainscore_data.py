"""Simulated recordings in the local layout, one function for each family of Brain-Score's benchmarks.

Responses are linear in the features that the caller gives (stimuli, p), plus noise; weights and noise are seeded, so
that equal arguments write equal files. Nothing here was recorded. Each function returns the stimulus ids of its sets,
row by row of the features, by the id of the data set.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from PIL import Image

from neuroscaling.core.hashing import file_sha1
from neuroscaling.study import benchmarks

if TYPE_CHECKING:
    import pytest

OBJECTS = tuple(f"object{i}" for i in range(8))
TEXTURES = ("noise", "texture")
COWLEY_SESSIONS = ("190923", "201025", "210225", "211022")
FAMILIES = {
    "MajajHong2015.public": ("dicarlo.MajajHong2015.public", "hvm-public"),
    "MajajHong2015.private": ("dicarlo.MajajHong2015.private", "hvm-private"),
    "FreemanZiemba2013.public": ("movshon.FreemanZiemba2013.public", "FreemanZiemba2013.aperture-public"),
    "FreemanZiemba2013.private": ("movshon.FreemanZiemba2013.private", "FreemanZiemba2013.aperture-private"),
    "Rajalingham2018.public": ("dicarlo.Rajalingham2018.public", "objectome.public"),
    "Rajalingham2018.private": ("dicarlo.Rajalingham2018.private", "objectome.private"),
    "Allen2022_fmri_train": ("Allen2022_fMRI_train_Assembly", "Allen2022_fMRI_train_Stimuli"),
    "Allen2022_fmri_test": ("Allen2022_fMRI_test_Assembly", "Allen2022_fMRI_test_Stimuli"),
    "Allen2022_fmri_4subj_train": ("Allen2022_fMRI_4subj_train_Assembly", "Allen2022_fMRI_4subj_train_Stimuli"),
    "Allen2022_fmri_4subj_test": ("Allen2022_fMRI_4subj_test_Assembly", "Allen2022_fMRI_4subj_test_Stimuli"),
    "Papale2025_train": ("THINGS_TVSD_train_Assembly", "THINGS_TVSD_train_Stimuli"),
    "Papale2025_test": ("THINGS_TVSD_test_Assembly", "THINGS_TVSD_test_Stimuli"),
    "Hebart2023_fmri_train": ("THINGS_fMRI_train_Assembly", "THINGS_fMRI_train_Stimuli"),
    "Hebart2023_fmri_test": ("THINGS_fMRI_test_Assembly", "THINGS_fMRI_test_Stimuli"),
} | {f"Cowley2026.{session}": (f"Cowley2026.{session}",) * 2 for session in COWLEY_SESSIONS}
"""Identifiers of the assembly and of the stimuli, which name the files; test_brainscore_data.py compares the table."""


@dataclass(frozen=True)
class Sites:
    """Recording sites: weights (features, sites), coordinates of each site, standard deviation of one trial's noise.

    The first `constant` sites of each region answer the same to everything.
    """

    weights: np.ndarray
    coords: dict[str, Sequence[Any]]
    noise: float = 1.0

    def trials(self, features: np.ndarray, repetitions: int, rng: np.random.Generator) -> np.ndarray:
        """Responses (repetitions * stimuli, sites)."""
        clean = features @ self.weights
        silent = ~self.weights.any(0)
        noise = self.noise * rng.standard_normal((repetitions, *clean.shape)) * ~silent
        return (clean + noise + silent).reshape(-1, clean.shape[1])


def write_majajhong(root: Path, features: np.ndarray, access: str = "public", **options: Any) -> dict[str, list[str]]:
    """V4 and IT in one time bin, objects; options as `write_cross_validated`."""
    coords = {"animal": "simulated"}
    return write_cross_validated(
        root, f"MajajHong2015.{access}", features, ("V4", "IT"), "object_name", [(70, 170)], coords, **options
    )


def write_freemanziemba(
    root: Path, features: np.ndarray, access: str = "public", bins: Sequence[tuple[int, int]] = (), **options: Any
) -> dict[str, list[str]]:
    """V1 and V2 in the 1-ms bins that the benchmark averages, textures; options as `write_cross_validated`."""
    bins = bins or [(t, t + 1) for t in range(50, 200)]
    data = f"FreemanZiemba2013.{access}"
    return write_cross_validated(root, data, features, ("V1", "V2"), "texture_type", bins, {}, **options)


def write_cowley(root: Path, features: np.ndarray, **options: Any) -> dict[str, list[str]]:
    """V4 in four sessions that one benchmark averages; options as `write_cross_validated`."""
    written = {}
    for seed, session in enumerate(COWLEY_SESSIONS):
        data = f"Cowley2026.{session}"
        settings = {"seed": seed} | options
        written |= write_cross_validated(root, data, features, ("V4",), "object_name", [(50, 150)], {}, **settings)
    return written


def write_cross_validated(
    root: Path,
    data: str,
    features: np.ndarray,
    regions: Sequence[str],
    stratified_by: str,
    bins: Sequence[tuple[int, int]],
    extra: dict[str, str],
    *,
    neuroids: int = 6,
    repetitions: int = 4,
    noise: float = 1.0,
    constant: int = 0,
    shuffled: bool = False,
    seed: int = 0,
) -> dict[str, list[str]]:
    """One assembly of all regions with repetitions, from which a benchmark draws its own splits.

    shuffled: presentations in random order. constant: sites of each region without any variance.
    """
    rng = np.random.default_rng(seed)
    levels = TEXTURES if stratified_by == "texture_type" else OBJECTS
    stimuli = stimulus_rows(data, len(features), {stratified_by: levels})
    sites = make_sites(rng, features.shape[1], regions, neuroids, constant, noise, extra)
    write_stimuli(root, data, stimuli)
    write_assembly(root, data, stimuli, sites, features, repetitions, bins, rng, shuffled)
    return {data: [row["stimulus_id"] for row in stimuli]}


def write_allen(
    root: Path, train: np.ndarray, test: np.ndarray, prefix: str = "Allen2022_fmri", **options: Any
) -> dict[str, list[str]]:
    """fMRI of V1, V2, V4 and IT: training images once, test images three times; options as `write_train_test`."""
    coord = ("nc_testset", 20.0, 90.0)
    return write_train_test(
        root, prefix, train, test, ("V1", "V2", "V4", "IT"), coord, **({"repetitions": 3} | options)
    )


def write_papale(root: Path, train: np.ndarray, test: np.ndarray, **options: Any) -> dict[str, list[str]]:
    """Recordings of V1, V4 and IT in two monkeys, with the reliability of each site."""
    coord = ("reliability", 0.2, 0.9)
    return write_train_test(
        root, "Papale2025", train, test, ("V1", "V4", "IT"), coord, **({"repetitions": 6} | options)
    )


def write_hebart(root: Path, train: np.ndarray, test: np.ndarray, **options: Any) -> dict[str, list[str]]:
    """fMRI of V1, V2, V4 and IT, with the noise ceiling of each voxel in per cent."""
    coord = ("nc_testset", 20.0, 90.0)
    options = {"repetitions": 4} | options
    return write_train_test(root, "Hebart2023_fmri", train, test, ("V1", "V2", "V4", "IT"), coord, **options)


def write_train_test(
    root: Path,
    prefix: str,
    train: np.ndarray,
    test: np.ndarray,
    regions: Sequence[str],
    quality: tuple[str, float, float],
    *,
    subjects: Sequence[str] = ("subj01", "subj02"),
    neuroids: int = 6,
    repetitions: int = 3,
    noise: float = 1.0,
    constant: int = 0,
    shuffled: bool = False,
    seed: int = 0,
) -> dict[str, list[str]]:
    """Assemblies `<prefix>_train` (each image once) and `<prefix>_test`, of the same sites in several subjects.

    neuroids: sites of each region and subject, the first of them below the benchmark's threshold of quality. quality:
    the coordinate that says how reliable a site is, with its value for that site and for the others.
    """
    rng = np.random.default_rng(seed)
    sites = make_sites(rng, train.shape[1], [r for r in regions for _ in subjects], neuroids, constant, noise, {})
    name, low, high = quality
    coords = sites.coords | {
        "subject": [subject for _ in regions for subject in subjects for _ in range(neuroids)],
        name: [low if i % neuroids == neuroids - 1 else high for i in range(sites.weights.shape[1])],
    }
    sites = Sites(sites.weights, coords, noise)
    written = {}
    for split, features, trials in (("train", train, 1), ("test", test, repetitions)):
        data = f"{prefix}_{split}"
        stimuli = stimulus_rows(data, len(features), {})
        write_stimuli(root, data, stimuli)
        write_assembly(root, data, stimuli, sites, features, trials, [(0, 1)], rng, shuffled)
        written[data] = [row["stimulus_id"] for row in stimuli]
    return written


def write_rajalingham(
    root: Path, features: np.ndarray, access: str = "public", *, trials: int = 20, objects: int = 6, seed: int = 0
) -> dict[str, list[str]]:
    """Choices between the object of an image and each other one, from evidence that is linear in the features."""
    rng = np.random.default_rng(seed)
    data = f"Rajalingham2018.{access}"
    names = [f"object{i}" for i in range(objects)]
    stimuli = stimulus_rows(data, len(features), {"object_name": names, "image_label": names})
    write_stimuli(root, data, stimuli)
    evidence = features @ rng.standard_normal((features.shape[1], objects)) / np.sqrt(features.shape[1])
    shown = np.arange(len(features)) % objects
    image, distractor = np.nonzero(shown[:, None] != np.arange(objects))
    image, distractor = image.repeat(trials), distractor.repeat(trials)
    odds = 1 + evidence[image, shown[image]] - evidence[image, distractor]
    right = rng.random(len(image)) < 1 / (1 + np.exp(-odds))
    sample, other = np.array(names)[shown[image]], np.array(names)[distractor]
    choice = np.where(right, sample, other)
    columns = {
        "stimulus_id": np.array([row["stimulus_id"] for row in stimuli])[image],
        "sample_obj": sample,
        "dist_obj": other,
        "choice": choice,
        "truth": sample,
    }
    coords = {name: ("presentation", values) for name, values in columns.items()}
    assembly = xr.DataArray(choice, coords, ("presentation",), name="choices", attrs={"simulated": "yes"})
    assembly.to_netcdf(root / assembly_file(data))
    return {data: [row["stimulus_id"] for row in stimuli]}


def make_sites(
    rng: np.random.Generator,
    p: int,
    regions: Sequence[str],
    neuroids: int,
    constant: int,
    noise: float,
    extra: dict[str, str],
) -> Sites:
    """`neuroids` sites for each entry of `regions`, the first `constant` of them without weights."""
    weights = rng.standard_normal((p, len(regions) * neuroids)) / np.sqrt(p)
    labels = [region for region in regions for _ in range(neuroids)]
    for first in range(0, len(labels), neuroids):
        weights[:, first : first + constant] = 0
    coords = {"neuroid_id": [f"simulated-{i:04d}" for i in range(len(labels))], "region": labels}
    return Sites(weights, coords | {name: [value] * len(labels) for name, value in extra.items()}, noise)


def stimulus_rows(data: str, n: int, columns: dict[str, Sequence[str]]) -> list[dict[str, str]]:
    """Rows of a stimulus CSV; the levels of each column take turns."""
    ids = [f"{data.replace('.', '-')}-{i:04d}" for i in range(n)]
    return [
        {"stimulus_id": stimulus, "filename": f"{stimulus}.png"}
        | {column: levels[i % len(levels)] for column, levels in columns.items()}
        for i, stimulus in enumerate(ids)
    ]


def write_stimuli(root: Path, data: str, stimuli: Sequence[dict[str, str]], size: int = 8) -> None:
    """The CSV and the folder of images of a data set, each image of another gray."""
    stem = f"stimulus_{FAMILIES[data][1].replace('.', '_')}"
    (root / stem).mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(stimuli):
        gray = i % 256, (i // 256) % 256, 128
        Image.new("RGB", (size, size), gray).save(root / stem / row["filename"], compress_level=1)
    with open(root / f"{stem}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(stimuli[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(stimuli)


def write_assembly(
    root: Path,
    data: str,
    stimuli: Sequence[dict[str, str]],
    sites: Sites,
    features: np.ndarray,
    repetitions: int,
    bins: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    shuffled: bool,
) -> None:
    """Responses (repetitions x stimuli, sites, bins) as netCDF with flat coordinates, the same in each bin."""
    values = sites.trials(features, repetitions, rng)
    order = rng.permutation(len(values)) if shuffled else np.arange(len(values))
    ids = np.tile([row["stimulus_id"] for row in stimuli], repetitions)
    coords: dict[str, Any] = {
        "stimulus_id": ("presentation", ids[order]),
        "repetition": ("presentation", np.repeat(np.arange(repetitions), len(stimuli))[order]),
        "time_bin_start": ("time_bin", [start for start, _ in bins]),
        "time_bin_end": ("time_bin", [end for _, end in bins]),
    }
    coords |= {name: ("neuroid", list(values)) for name, values in sites.coords.items()}
    repeated = np.repeat(values[order][:, :, None], len(bins), 2)
    dims = ("presentation", "neuroid", "time_bin")
    assembly = xr.DataArray(repeated, coords, dims, name="responses", attrs={"simulated": "yes"})
    assembly.to_netcdf(root / assembly_file(data))


def assembly_file(data: str) -> str:
    """File name of a data set's recordings."""
    return f"assy_{FAMILIES[data][0].replace('.', '_')}.nc"


def as_official(local: Path, out: Path, data: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the files of data sets out as Brain-Score's cache has them, and let the table know their sha1s."""
    for name in data:
        entry, stimuli = benchmarks.DATA_SETS[name], benchmarks.STIMULUS_SETS[benchmarks.DATA_SETS[name].stimulus_set]
        sha1 = _move(local / entry.assembly_file, out)
        archive = shutil.make_archive(str(out / stimuli.stem), "zip", local / stimuli.stem)
        csv_sha1, zip_sha1 = _move(local / f"{stimuli.stem}.csv", out), _move(Path(archive), out)
        monkeypatch.setitem(benchmarks.DATA_SETS, name, replace(entry, sha1=sha1))
        known = replace(stimuli, csv_sha1=csv_sha1, zip_sha1=zip_sha1)
        monkeypatch.setitem(benchmarks.STIMULUS_SETS, stimuli.stimulus_set, known)
    return out


def _move(file: Path, root: Path) -> str:
    sha1 = file_sha1(file)
    (root / sha1).mkdir(parents=True, exist_ok=True)
    shutil.move(file, root / sha1 / file.name)
    return sha1


def run_in_brainscore(python: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess:
    """Run the Brain-Score environment's interpreter on our sources, with further environment variables."""
    environment = (
        os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "OMP_NUM_THREADS": "1"} | variables
    )
    command = [python, "-W", "ignore", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=2900)
