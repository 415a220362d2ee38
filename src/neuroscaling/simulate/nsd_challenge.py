"""SIMULATED tree of the Algonauts 2023 Challenge, made of simulated NSD responses by the challenge's rules.

Written image by image, apart from the code that rebuilds the challenge's files, which it serves to test. Test
responses and ceilings stay out of the tree, as in the public archive; they are with the truth.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

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
    _write_fmri(folder, part, np.stack([_mean(responses, trials) for trials in training.values()]))
    _write_rois(folder, part, kept, drawn.labels["streams"], names)
    if part == "lh":
        _write_images(folder, "training", "train", list(training), plan.pixels)
        _write_images(folder, "test", "test", list(test), plan.pixels)
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


def _write_fmri(folder: Path, part: str, training: np.ndarray) -> None:
    place = folder / "training_split" / "training_fmri"
    place.mkdir(parents=True, exist_ok=True)
    np.save(place / f"{part}_training_fmri.npy", training.astype(np.float32))


def _write_images(folder: Path, split: str, prefix: str, ids: list[int], pixels: np.ndarray) -> None:
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
