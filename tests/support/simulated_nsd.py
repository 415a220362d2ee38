"""SIMULATED recordings in the layout of NSD, with planted truth, and the challenge's tree made of them.

Folders, names, types, axis orders and counting from 1 are NSD's (docs/nsd.md); grids, images and trials are few.
    <root>/nsd/              the tree
    <root>/algonauts2023/    the challenge's tree of the same subjects, made of it by the challenge's rules
    <root>/truth/            features, and of each subject, space and part: weights, ncsnr, broken targets
    <root>/manifest.json     says SIMULATED; scan sessions of each subject

Written image by image, apart from the code that rebuilds the challenge's files, which it serves to test. Test
responses and ceilings stay out of the tree, as in the public archive; they are with the truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neuroscaling.core.files import write_json

SUBJECTS, SESSIONS, REPETITIONS = 8, 40, 3
STREAMS = ("Unknown", "early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal")
AREAS = ("Unknown", "V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4")
FACES = ("Unknown", "OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces")
LABELS = {"streams": STREAMS, "prf-visualrois": AREAS, "floc-faces": FACES}
NCSNR = (0.3, 1.5)
FEATURES = 6
README = """# SIMULATED data

Everything in this folder was drawn at random by a known rule; nothing was recorded from a person, and no image or
response of the Natural Scenes Dataset or the Algonauts challenge is in it. It only has their layouts (docs/nsd.md).
"""
BETAS = "betas_fithrf_GLMdenoise_RR"


@dataclass(frozen=True)
class NsdSettings:
    """Sizes of a simulated tree. sessions: scan sessions of each subject, of 40 planned; trials: of a session;
    shared: images that everybody sees; volume: (X, Y, Z); vertices: of the left hemisphere of the first subject (every
    other hemisphere has some more); fsaverage: vertices a hemisphere; nifti: sessions whose volumes are nii.gz."""

    sessions: tuple[tuple[str, int], ...] = (("subj01", 40), ("subj04", 30))
    spaces: tuple[str, ...] = ("func1pt8mm", "nativesurface", "fsaverage")
    trials: int = 15
    shared: int = 20
    volume: tuple[int, int, int] = (5, 4, 3)
    vertices: int = 30
    fsaverage: int = 36
    image_size: int = 12
    nifti: tuple[int, ...] = (2,)
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What was shown: ordering (trials of all sessions,) and images (8, images) both counting from 0; shared ids;
    features (NSD images, FEATURES) of the pixels, z-scored."""

    ordering: np.ndarray
    images: np.ndarray
    shared: np.ndarray
    pixels: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Part:
    """A volume or hemisphere of a subject: grid, planted ncsnr (targets,), weights (FEATURES, targets), targets that
    the first session didn't cover, and the integers of the ROIs by name."""

    grid: tuple[int, ...]
    ncsnr: np.ndarray
    weights: np.ndarray
    broken: np.ndarray
    labels: dict[str, np.ndarray]


def write_nsd_tree(root: str | Path, settings: NsdSettings | None = None) -> Path:
    """Write a SIMULATED tree, the challenge's tree of it and the truth to `root`; returns the folder of the NSD tree.

    Response = offset + gain of the session x (signal + noise), of variance 1 before z-scoring; signal is a weighted
    sum of the features of the pixels, of variance ncsnr^2 / (1 + ncsnr^2).
    """
    root = Path(root)
    settings = settings or NsdSettings()
    rng = np.random.default_rng(settings.seed)
    plan = _plan(settings, rng)
    tree = root / "nsd"
    _write_design(tree, plan)
    _write_images(tree, plan)
    (root / "truth").mkdir()
    np.savez(root / "truth" / "features.npz", features=plan.features)
    common = {part: _labels((settings.fsaverage,), "fsaverage", rng) for part in ("lh", "rh")}
    for number, (subject, sessions) in enumerate(settings.sessions):
        shown = _shown(plan, subject, sessions, settings.trials)
        for space in settings.spaces:
            for i, part in enumerate(_parts(space)):
                drawn = _draw_part(_grid(settings, space, 2 * number + i), space, common.get(part), rng)
                betas = [_respond(plan, drawn, ids, session, rng) for session, ids in enumerate(shown)]
                _write_part(tree, subject, space, part, drawn, betas, settings.nifti)
                _write_truth(root / "truth", f"{subject}-{space}-{part}", drawn)
                if space == "fsaverage":
                    stored = [_as_stored(values, drawn, s, space) for s, values in enumerate(betas)]
                    write_challenge_subject(root, subject, part, stored, shown, plan, drawn, STREAMS)
        _write_label_names(tree, subject)
    _write_label_names(tree, "fsaverage")
    facts = {"format": "simulated-nsd/1", "simulated": True, "sessions": dict(settings.sessions)}
    (root / "README.md").write_text(README, encoding="utf-8")
    write_json(root / "manifest.json", facts | {"seed": settings.seed})
    return tree


def image_features(pixels: np.ndarray) -> np.ndarray:
    """Mean of each colour in the left and right half of images (n, size, size, 3): (n, FEATURES)."""
    half = (pixels.shape[2] + 1) // 2
    return np.hstack([pixels[:, :, :half].mean((1, 2)), pixels[:, :, half:].mean((1, 2))])


def _plan(settings: NsdSettings, rng: np.random.Generator) -> Plan:
    per_subject = SESSIONS * settings.trials // REPETITIONS
    own = per_subject - settings.shared
    ids = rng.permutation(settings.shared + SUBJECTS * own)
    shared, rest = ids[: settings.shared], ids[settings.shared :].reshape(SUBJECTS, own)
    images = np.hstack([np.tile(shared, (SUBJECTS, 1)), rest])
    tint = rng.uniform(60, 195, (len(ids), 1, 2, 3))
    size = settings.image_size
    noise = rng.normal(0, 20, (len(ids), size, size, 3))
    halves = tint[:, :, np.arange(size) * 2 // size]
    pixels = np.clip(halves + noise, 0, 255).astype(np.uint8)
    features = image_features(pixels)
    features = (features - features.mean(0)) / features.std(0)
    return Plan(_ordering(per_subject, rng), images, np.sort(shared), pixels, features)


def _ordering(n: int, rng: np.random.Generator) -> np.ndarray:
    """Three trials of each image. Four in ten images come in a row, so that some are seen in the last sessions alone:
    image 0 in those of the whole experiment, image 1 in those of a subject who stopped after session 30."""
    times = rng.uniform(0, 1, (n, REPETITIONS))
    clustered = rng.random(n) < 0.4
    times[clustered] = times[clustered, :1] + rng.uniform(0, 0.01, (clustered.sum(), REPETITIONS))
    times[0] = (0.97, 0.98, 0.99)
    times[1] = (28.2 / SESSIONS, 28.8 / SESSIONS, 29.5 / SESSIONS)
    return np.argsort(times.ravel(), kind="stable") // REPETITIONS


def _shown(plan: Plan, subject: str, sessions: int, trials: int) -> np.ndarray:
    """NSD ids (sessions, trials), from 0."""
    ids = plan.images[int(subject[-2:]) - 1][plan.ordering]
    return ids[: sessions * trials].reshape(sessions, trials)


def _parts(space: str) -> tuple[str, ...]:
    return ("both",) if space.startswith("func") else ("lh", "rh")


def _grid(settings: NsdSettings, space: str, number: int) -> tuple[int, ...]:
    """Shape of a part; subjects and hemispheres differ, but on fsaverage."""
    if space == "fsaverage":
        return (settings.fsaverage,)
    if space == "nativesurface":
        return (settings.vertices + number,)
    x, y, z = settings.volume
    return (x + number // 2, y, z)


def _draw_part(
    grid: tuple[int, ...], space: str, common: dict[str, np.ndarray] | None, rng: np.random.Generator
) -> Part:
    n = int(np.prod(grid))
    labels = common if space == "fsaverage" and common else _labels(grid, space, rng)
    general = np.flatnonzero(labels["nsdgeneral"].ravel() > 0)
    weights = rng.standard_normal((FEATURES, n))
    broken = np.sort(rng.choice(general, 2, replace=False))
    return Part(grid, rng.uniform(*NCSNR, n).astype(np.float32), weights, broken, labels)


def _labels(grid: tuple[int, ...], space: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Integers of each set of ROIs; -1 outside cortex in volumes. fsaverage has no ROI that is drawn in a subject."""
    outside = rng.random(grid) < 0.2 if space.startswith("func") else np.zeros(grid, bool)
    labels = {"nsdgeneral": (rng.random(grid) < 0.7).astype(int)}
    for name, names in LABELS.items():
        if space != "fsaverage" or name == "streams":
            labels[name] = rng.integers(0, len(names), grid)
    return {name: np.where(outside, -1, values) for name, values in labels.items()}


def _respond(plan: Plan, part: Part, ids: np.ndarray, session: int, rng: np.random.Generator) -> np.ndarray:
    """Responses (trials, targets) of a session in per cent signal change, without what files do to them."""
    signal = plan.features @ part.weights
    share = part.ncsnr**2 / (1 + part.ncsnr**2)
    noise = rng.standard_normal((len(ids), len(part.ncsnr)))
    response = np.sqrt(share) * (signal / signal.std(0))[ids] + np.sqrt(1 - share) * noise
    gain, offset = rng.uniform(1, 3, response.shape[1]), rng.normal(0.5, 0.5, response.shape[1])
    return offset + gain * response


def _as_stored(betas: np.ndarray, part: Part, session: int, space: str) -> np.ndarray:
    """What a file holds: per cent as float32 on fsaverage, else 300 times as much as int16; broken targets emptied."""
    betas = betas.copy()
    betas[:, part.broken[:1]] = np.nan if space == "fsaverage" else 0
    if session == 0:
        betas[:, part.broken] = np.nan if space == "fsaverage" else 0
    if space == "fsaverage":
        return betas.astype(np.float32)
    if "nsdgeneral" in part.labels:
        betas[:, part.labels["nsdgeneral"].ravel() < 0] = 0
    return np.round(300 * betas).astype(np.int16)


def _write_part(
    tree: Path, subject: str, space: str, part: str, drawn: Part, betas: list[np.ndarray], nifti: tuple[int, ...]
) -> None:
    folder = tree / "nsddata_betas" / "ppdata" / subject / space / BETAS
    folder.mkdir(parents=True, exist_ok=True)
    for session, values in enumerate(betas):
        stem = f"betas_session{session + 1:02d}"
        stored = _as_stored(values, drawn, session, space)
        if space == "fsaverage":
            save_mgh(folder / f"{part}.{stem}.mgh", stored.T[:, None, None, :])
        elif space == "nativesurface":
            save_hdf5(folder / f"{part}.{stem}.hdf5", stored, (len(stored), 1))
        elif session + 1 in nifti:
            save_nifti(folder / f"{stem}.nii.gz", np.moveaxis(stored.reshape(-1, *drawn.grid), 0, -1))
        else:
            turned = stored.reshape(-1, *drawn.grid).transpose(0, 3, 2, 1)
            save_hdf5(folder / f"{stem}.hdf5", turned, (len(stored), 1, 1, 1))
    _write_maps(tree, folder, subject, space, part, drawn)


def _write_maps(tree: Path, folder: Path, subject: str, space: str, part: str, drawn: Part) -> None:
    """ncsnr and ROIs."""
    ncsnr = drawn.ncsnr.reshape(drawn.grid)
    if len(drawn.grid) == 3:
        save_nifti(folder / "ncsnr.nii.gz", ncsnr)
        place = tree / "nsddata" / "ppdata" / subject / space / "roi"
    else:
        save_mgh(folder / f"{part}.ncsnr.mgh", ncsnr[:, None, None])
        surface = "fsaverage" if space == "fsaverage" else subject
        place = tree / "nsddata" / "freesurfer" / surface / "label"
    place.mkdir(parents=True, exist_ok=True)
    for name, values in drawn.labels.items():
        if len(drawn.grid) == 3:
            save_nifti(place / f"{name}.nii.gz", values.astype(np.int16))
        else:
            save_mgh(place / f"{part}.{name}.mgz", values.astype(np.float32)[:, None, None])


def _write_truth(folder: Path, name: str, part: Part) -> None:
    np.savez(folder / f"{name}.npz", ncsnr=part.ncsnr, weights=part.weights, broken=part.broken, **part.labels)


def _write_label_names(tree: Path, surface: str) -> None:
    folder = tree / "nsddata" / "freesurfer" / surface / "label"
    folder.mkdir(parents=True, exist_ok=True)
    for name, names in LABELS.items():
        if surface != "fsaverage" or name == "streams":
            text = "".join(f"{value} {roi}\n" for value, roi in enumerate(names))
            (folder / f"{name}.mgz.ctab").write_text(text, encoding="utf-8")


def _write_design(tree: Path, plan: Plan) -> None:
    """Numbers count from 1, and are floating-point, as MATLAB writes them."""
    from scipy.io import savemat

    folder = tree / "nsddata" / "experiments" / "nsd"
    folder.mkdir(parents=True)
    content = dict(_from_one(masterordering=plan.ordering[None], subjectim=plan.images, sharedix=plan.shared[None]))
    savemat(folder / "nsd_expdesign.mat", content)


def _from_one(**values: np.ndarray) -> Iterator[tuple[str, Any]]:
    yield from ((name, value.astype(np.float64) + 1) for name, value in values.items())


def _write_images(tree: Path, plan: Plan) -> None:
    folder = tree / "nsddata_stimuli" / "stimuli" / "nsd"
    folder.mkdir(parents=True)
    save_hdf5(folder / "nsd_stimuli.hdf5", plan.pixels, (1, *plan.pixels.shape[1:]), "imgBrick")


def save_hdf5(path: Path, values: np.ndarray, chunks: tuple[int, ...], name: str = "betas") -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=values, chunks=chunks)


def save_mgh(path: Path, values: np.ndarray) -> None:
    import nibabel

    nibabel.save(nibabel.MGHImage(np.ascontiguousarray(values, np.float32), np.eye(4)), path)


def save_nifti(path: Path, values: np.ndarray) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


WITHHELD = 3


def write_challenge_subject(
    root: Path, subject: str, part: str, stored: list[np.ndarray], shown: np.ndarray, plan: Any, drawn: Any, names: Any
) -> None:
    """Write one hemisphere of a subject (and its images, once). stored: responses (trials, fsaverage) of each session
    as NSD's files have them; shown (sessions, trials): NSD ids; plan and drawn: what the simulation planted. Nothing
    is written of a subject with too few sessions for a test split."""
    training, test = _trials(shown, plan)
    if not training or not test:
        return
    folder = root / "algonauts2023" / subject
    kept = np.flatnonzero((drawn.labels["nsdgeneral"] > 0) & np.isfinite(np.sum(stored, axis=(0, 1))))
    responses = [_z(values[:, kept].astype(np.float64)) for values in stored]
    _write_challenge_fmri(folder, part, np.stack([_mean(responses, trials) for trials in training.values()]))
    _write_rois(folder, part, kept, drawn.labels["streams"], names)
    if part == "lh":
        _write_challenge_images(folder, "training", "train", list(training), plan.pixels)
        _write_challenge_images(folder, "test", "test", list(test), plan.pixels)
    repeats = np.array([len(trials) for trials in test.values()])
    weight = np.mean(1 / repeats)
    ncsnr = drawn.ncsnr[kept].astype(np.float64)
    np.savez(
        root / "truth" / f"{subject}-challenge-{part}.npz",
        test=np.stack([_mean(responses, trials) for trials in test.values()]),
        ceiling=ncsnr**2 / (ncsnr**2 + weight),
        repeats=repeats,
        training_repeats=np.array([len(trials) for trials in training.values()]),
        vertices=kept,
    )


def _z(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(0)) / values.std(0)


def _trials(shown: np.ndarray, plan: Any) -> tuple[dict[int, list], dict[int, list]]:
    """(session, trial) of each image of both splits, images in ascending order."""
    all_sessions = len(shown) * shown.shape[1] == len(plan.ordering)
    training: dict[int, list] = {}
    test: dict[int, list] = {}
    for image in sorted(set(shown.ravel().tolist())):
        places = [(int(s), int(t)) for s, t in zip(*np.nonzero(shown == image), strict=True)]
        early = [place for place in places if place[0] < len(shown) - WITHHELD]
        if early:
            training[image] = early
        elif image not in plan.shared or all_sessions:
            test[image] = places
    return training, test


def _mean(responses: list[np.ndarray], trials: list[tuple[int, int]]) -> np.ndarray:
    return np.mean([responses[session][trial] for session, trial in trials], axis=0)


def _write_challenge_fmri(folder: Path, part: str, training: np.ndarray) -> None:
    place = folder / "training_split" / "training_fmri"
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / f"{part}_training_fmri.npy", training.astype(np.float32))


def _write_challenge_images(folder: Path, split: str, prefix: str, ids: list[int], pixels: np.ndarray) -> None:
    place = folder / f"{split}_split" / f"{split}_images"
    place.mkdir(parents=True)
    for row, number in enumerate(ids, start=1):
        Image.fromarray(pixels[number]).save(place / f"{prefix}-{row:04d}_nsd-{number:05d}.png")


def _write_rois(folder: Path, part: str, kept: np.ndarray, streams: np.ndarray, names: Any) -> None:
    place = folder / "roi_masks"
    place.mkdir(parents=True, exist_ok=True)
    everything = np.zeros(len(streams), np.int32)
    everything[kept] = 1
    np.save(place / f"{part}.all-vertices_fsaverage_space.npy", everything)
    np.save(place / f"{part}.streams_fsaverage_space.npy", np.where(everything, streams, 0).astype(np.int32))
    np.save(place / f"{part}.streams_challenge_space.npy", streams[kept].astype(np.int32))
    np.save(place / "mapping_streams.npy", dict(enumerate(names)), allow_pickle=True)
