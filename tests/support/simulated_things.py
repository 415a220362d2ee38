"""SIMULATED recordings in the layouts of TVSD and THINGS-fMRI, with planted truth, and images named as in THINGS.

Folders, names, axes, types and counting are the authors' (docs/things.md); images, trials and voxels are few, the sites
of TVSD all 1,024.
    <root>/tvsd/monkeyF/{THINGS_normMUA.mat, _logs/things_imgs.mat}     and monkeyN
    <root>/things_fmri/betas_csv/sub-01_{ResponseData.h5, StimulusMetadata.csv, VoxelMetadata.csv}
    <root>/things/object_images/<concept>/<concept>_01b.jpg
    <root>/manifest.json                                                says SIMULATED

Written apart from the code that reads it. Responses are weighted sums of features of the pixels, other ones for each
area (`features_of`), plus noise.
"""

import csv
import pickle
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from neuroscaling.core.files import write_json

README = """# SIMULATED data

Everything in this folder was drawn at random by a known rule; nothing was recorded from a monkey or a person, and no
image of THINGS is in it. It only has the layouts of TVSD and THINGS-fMRI (docs/things.md).
"""
SITES = 1024
AREAS = {
    "monkeyF": ["V1"] * 512 + ["IT"] * 320 + ["V4"] * 192,
    "monkeyN": ["V1"] * 512 + ["V4"] * 256 + ["IT"] * 256,
}
DEAD = {"monkeyF": slice(0, 0), "monkeyN": slice(320, 384)}
"""Sites without a number: an array of monkey N gave none."""
NOISY = 8
"""Every so many sites have no signal at all."""
STAGE = {"V1": "early", "V2": "early", "V3": "early", "hV4": "middle", "V4": "middle"}
"""What the responses of an area follow; of the others, `late`."""
REGIONS = ("V1", "V2", "V3", "hV4", "LO1 (prf)", "lFFA", "rFFA", "lLOC", "rLOC", "IT", "glasser-V1", "glasser-FFC")
FEATURES = 6


@dataclass(frozen=True)
class ThingsSettings:
    """concepts and exemplars (training images of each; one more is a test image); people see the first `known`
    concepts. repetitions of test images: of monkeys, and of people (one a session). layout of the responses of people:
    `fixed`, `pickled` (names of the columns too) or `table`."""

    concepts: int = 20
    exemplars: int = 8
    known: int = 15
    monkeys: tuple[str, ...] = ("monkeyF", "monkeyN")
    people: tuple[str, ...] = ("sub-01", "sub-02", "sub-03")
    repetitions: tuple[int, int] = (6, 4)
    voxels: int = 66
    layout: str = "fixed"
    flat: bool = False
    size: int = 24
    seed: int = 0


@dataclass(frozen=True)
class Pictures:
    """Names (`object00_01b`), concepts, pixels (n, size, size, 3) and features by stage, z-scored; test: whether an
    image is a test image."""

    names: list[str]
    concepts: list[str]
    pixels: np.ndarray
    features: dict[str, np.ndarray]
    test: np.ndarray

    @property
    def ids(self) -> list[str]:
        """Stimulus ids that the reader should find."""
        return [f"{concept}/{name}" for concept, name in zip(self.concepts, self.names, strict=True)]

    def of(self, ids: list[str], stage: str) -> np.ndarray:
        """Features of some images."""
        row = {stimulus: i for i, stimulus in enumerate(self.ids)}
        return self.features[stage][[row[stimulus] for stimulus in ids]]


def write_things(root: str | Path, settings: ThingsSettings | None = None) -> Pictures:
    """Write the SIMULATED trees and images below `root`; returns what was shown."""
    root, settings = Path(root), settings or ThingsSettings()
    pictures = draw_pictures(settings)
    write_images(root / "things", pictures, settings.flat)
    for number, monkey in enumerate(settings.monkeys):
        write_monkey(root / "tvsd", monkey, pictures, settings, np.random.default_rng([settings.seed, 1, number]))
    for number, person in enumerate(settings.people):
        rng = np.random.default_rng([settings.seed, 2, number])
        write_person(root / "things_fmri" / "betas_csv", person, pictures, settings, rng)
    (root / "README.md").write_text(README, encoding="utf-8")
    write_json(root / "manifest.json", {"format": "simulated-things/1", "simulated": True, "seed": settings.seed})
    return pictures


def draw_pictures(settings: ThingsSettings) -> Pictures:
    """Four cells by four of colours: those of a concept's exemplars are alike."""
    rng = np.random.default_rng([settings.seed, 0])
    of_concept = rng.uniform(70, 185, (settings.concepts, 1, 1, 1, 3))
    cells = of_concept + rng.uniform(-60, 60, (settings.concepts, settings.exemplars + 1, 4, 4, 3))
    cells = cells.reshape(-1, 4, 4, 3)
    fine = np.arange(settings.size) * 4 // settings.size
    pixels = cells[:, fine][:, :, fine] + rng.normal(0, 4, (len(cells), settings.size, settings.size, 3))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    concepts = [f"object{i:02d}" for i in range(settings.concepts) for _ in range(settings.exemplars + 1)]
    letters = [f"{i + 1:02d}{'bsn'[i % 3]}" for i in range(settings.exemplars + 1)] * settings.concepts
    names = [f"{concept}_{letter}" for concept, letter in zip(concepts, letters, strict=True)]
    test = np.arange(len(names)) % (settings.exemplars + 1) == settings.exemplars
    return Pictures(names, concepts, pixels, features_of(pixels), test)


def features_of(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """early: luminance of cells; middle: colours against each other in quadrants; late: the colour of the whole, bent.

    (n, FEATURES) each, z-scored.
    """
    size = pixels.shape[1]
    values = pixels.astype(float)
    cells = values[:, : size // 4 * 4, : size // 4 * 4].reshape(len(values), 4, size // 4, 4, size // 4, 3).mean((2, 4))
    luminance = cells.mean(3) - cells.mean((1, 2, 3))[:, None, None]
    quadrants = cells.reshape(-1, 2, 2, 2, 2, 3).mean((2, 4)).reshape(-1, 4, 3)
    contrasts = [np.abs(quadrants[:, i, a] - quadrants[:, i, b]) for i in range(3) for a, b in ((0, 1), (1, 2))]
    colour = cells.mean((1, 2)) / 128 - 1
    bent = np.hstack([colour, np.sin(4 * colour)])
    found = {"early": luminance.reshape(-1, 16)[:, ::3], "middle": np.stack(contrasts, 1), "late": bent}
    return {stage: (x - x.mean(0)) / x.std(0) for stage, x in found.items()}


def write_images(root: Path, pictures: Pictures, flat: bool) -> None:
    """One JPEG an image, in the folder of its concept or all in one."""
    for name, concept, pixels in zip(pictures.names, pictures.concepts, pictures.pixels, strict=True):
        folder = root / "object_images" / ("" if flat else concept)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=95)


def write_monkey(
    root: Path, monkey: str, pictures: Pictures, settings: ThingsSettings, rng: np.random.Generator
) -> None:
    """Images in an order of the experiment's own, the same for both monkeys."""
    order = np.random.default_rng([settings.seed, 3]).permutation(len(pictures.names))
    training, test = order[~pictures.test[order]], order[pictures.test[order]]
    _write_log(root / monkey / "_logs" / "things_imgs.mat", pictures, {"train_imgs": training, "test_imgs": test})
    signal = _signal(pictures, AREAS[monkey], rng)
    signal[:, ::NOISY] = 0
    repeated = signal[test] + rng.normal(0, 1, (settings.repetitions[0], len(test), SITES))
    trained = signal[training] + rng.normal(0, 1, (len(training), SITES))
    trained[:, DEAD[monkey]] = repeated[:, :, DEAD[monkey]] = np.nan
    scored = (repeated - repeated.mean(1, keepdims=True)) / repeated.std(1, keepdims=True)
    pairs = [(scored[a] * scored[b]).mean(0) for a, b in combinations(range(len(repeated)), 2)]
    content = {"train_MUA": trained, "test_MUA": repeated.mean(0), "test_MUA_reps": repeated, "reliab": np.stack(pairs)}
    with matlab_file(root / monkey / "THINGS_normMUA.mat") as file:
        for name, values in content.items():
            file[name] = values  # MATLAB's axes are the reverse of these


def matlab_file(path: Path) -> h5py.File:
    """MATLAB 7.3 is HDF5 behind 512 bytes of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    h5py.File(path, "w", userblock_size=512).close()
    with open(path, "rb+") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, SIMULATED".ljust(124) + b"\x00\x02IM")
    return h5py.File(path, "r+")


def _write_log(path: Path, pictures: Pictures, rows: dict[str, np.ndarray]) -> None:
    """Structures of cells, which are references to the characters of each text."""
    with matlab_file(path) as file:
        for group, numbers in rows.items():
            paths = [f"{pictures.concepts[i]}\\{pictures.names[i]}.jpg" for i in numbers]
            for field, texts in (("things_path", paths), ("class", [pictures.concepts[i] for i in numbers])):
                cells = file.create_dataset(f"{group}/{field}", (len(texts), 1), h5py.ref_dtype)
                for i, text in enumerate(texts):
                    characters = np.array([ord(letter) for letter in text], np.uint16)[:, None]
                    cells[i, 0] = file.create_dataset(f"#refs#/{group}-{field}-{i}", data=characters).ref


def write_person(
    folder: Path, person: str, pictures: Pictures, settings: ThingsSettings, rng: np.random.Generator
) -> None:
    """Sessions with every test image once, and a share of the training images; a catch trial ends each."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = np.array([concept < f"object{settings.known:02d}" for concept in pictures.concepts])
    sessions = np.array_split(rng.permutation(np.flatnonzero(seen & ~pictures.test)), settings.repetitions[1])
    shown, kinds, days = [], [], []
    for day, training in enumerate(sessions):
        images = rng.permutation(np.concatenate([training, np.flatnonzero(seen & pictures.test)]))
        shown += [*images.tolist(), -1]
        kinds += [*("test" if pictures.test[i] else "train" for i in images), "catch"]
        days += [day + 1] * (len(images) + 1)
    masks = _masks(settings.voxels, rng)
    areas = [next((r for r in REGIONS if masks[r][v]), "none") for v in range(settings.voxels)]
    share = rng.uniform(0.15, 0.6, settings.voxels)
    signal = _signal(pictures, areas, rng) * np.sqrt(share / (1 - share))
    signal = np.vstack([signal, np.zeros(settings.voxels)])[shown]
    gain, offset = rng.uniform(0.7, 1.4, len(sessions) + 1)[days], rng.normal(0, 0.3, len(sessions) + 1)[days]
    responses = offset[:, None] + gain[:, None] * (signal + rng.normal(0, 1, signal.shape))
    _write_trials(folder / f"{person}_StimulusMetadata.csv", pictures, shown, kinds, days)
    _write_voxels(folder / f"{person}_VoxelMetadata.csv", masks, share, settings)
    write_frame(folder / f"{person}_ResponseData.h5", responses.T, settings.layout)


def _signal(pictures: Pictures, areas: list[str], rng: np.random.Generator) -> np.ndarray:
    """Of variance about 1, (images, targets)."""
    weights = rng.normal(0, 1 / np.sqrt(FEATURES), (FEATURES, len(areas)))
    stages = np.array([STAGE.get(area, "late") for area in areas])
    parts = [pictures.features[stage] @ (weights * (stages == stage)) for stage in ("early", "middle", "late")]
    return np.sum(parts, axis=0)


def _masks(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Stretches of voxels; the last ones are in no region, and `IT` holds the areas for faces too."""
    plain = [name for name in REGIONS if not name.startswith("glasser-")]
    edges = np.linspace(0, n - n // 10, len(plain) + 1).astype(int)
    masks = {name: np.zeros(n, bool) for name in REGIONS}
    for name, first, last in zip(plain, edges[:-1], edges[1:], strict=True):
        masks[name][first:last] = True
    masks["IT"] |= masks["lFFA"] | masks["rFFA"]
    masks["glasser-V1"], masks["glasser-FFC"] = masks["V1"].copy(), rng.random(n) < 0.5
    return masks


def _write_trials(path: Path, pictures: Pictures, shown: list[int], kinds: list[str], days: list[int]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial_type", "session", "run", "subject_id", "trial_id", "stimulus", "concept"])
        for number, (image, kind, day) in enumerate(zip(shown, kinds, days, strict=True)):
            name, concept = (f"{pictures.names[image]}.jpg", pictures.concepts[image]) if image >= 0 else ("", "")
            writer.writerow([kind, day, 1, 1, number, name, concept])


def _write_voxels(path: Path, masks: dict[str, np.ndarray], share: np.ndarray, settings: ThingsSettings) -> None:
    ceilings = {n: 100 * share / (share + (1 - share) / n) for n in (1, settings.repetitions[1])}
    columns = {
        "subject_id": np.ones(len(share), int),
        "voxel_id": np.arange(len(share)),
        **{f"voxel_{axis}": np.arange(len(share)) for axis in "xyz"},
        "nc_singletrial": ceilings[1].round(4),
        "nc_testset": ceilings[settings.repetitions[1]].round(4),
        "splithalf_corrected": share.round(4),
        "prf-size": np.ones(len(share)),
        **{name: mask.astype(int) for name, mask in masks.items()},
    }
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_frame(path: Path, values: np.ndarray, layout: str = "fixed") -> None:
    """A data frame as pandas' `to_hdf` writes it: columns voxel_id and a number for each trial, a row a voxel.

    Names of columns that are texts and numbers mixed are pickled, and stand in the file as bytes.
    """
    rows, trials = values.shape
    with h5py.File(path, "w") as file:
        group = file.create_group("ResponseData")
        group.attrs["pandas_type"] = np.bytes_("frame_table" if layout == "table" else "frame")
        if layout == "table":
            fields = [("index", "<i8"), ("values_block_0", "<f8", (trials,)), ("values_block_1", "<i8", (1,))]
            table = np.zeros(rows, fields)
            table["index"], table["values_block_0"], table["values_block_1"][:, 0] = (
                np.arange(rows),
                values,
                range(rows),
            )
            group["table"] = table
            return
        _write_pickled(group, "axis0", ["voxel_id", *range(trials)])
        group["axis1"] = np.arange(rows)
        group["block0_values"], group["block1_values"] = values, np.arange(rows)[:, None]
        group["block1_items"] = np.array([b"voxel_id"])
        if layout == "pickled":
            _write_pickled(group, "block0_items", list(range(trials)))
        else:
            group["block0_items"] = np.arange(trials)


def _write_pickled(group: h5py.Group, name: str, names: list[object]) -> None:
    raw = np.frombuffer(pickle.dumps(np.array(names, object)), np.uint8)
    array = group.create_dataset(name, (1,), h5py.vlen_dtype(np.uint8))
    array[0] = raw
