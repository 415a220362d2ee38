"""Files of one simulated subject in the layout of the Algonauts 2023 Challenge."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.study import recording_folders
from neuroscaling.study.recording_folders import FSAVERAGE_VERTICES, HEMISPHERES, ROI_CLASSES, SPLIT_PREFIXES

FSAVERAGE5_VERTICES = 10242  # the first of fsaverage's: maps are drawn on them


@dataclass(frozen=True)
class Hemisphere:
    """What the files of one hemisphere hold; training rows come first.

    responses (images, vertices); ceiling and ncsnr (vertices,); rois: class -> name at each vertex ("": none); places
    (vertices,): their numbers on fsaverage, ascending.
    """

    responses: np.ndarray
    ceiling: np.ndarray
    ncsnr: np.ndarray
    rois: Mapping[str, Sequence[str]]
    places: np.ndarray


def draw_places(n_vertices: int, rng: np.random.Generator) -> np.ndarray:
    """Return vertex numbers on fsaverage (n_vertices,), ascending; among fsaverage5's where these are enough."""
    within = FSAVERAGE5_VERTICES if n_vertices <= FSAVERAGE5_VERTICES else FSAVERAGE_VERTICES
    return np.sort(rng.choice(within, n_vertices, replace=False))


def write_images(subject: Path, split: str, files: Mapping[int, Path], numbers: Sequence[int] | np.ndarray) -> None:
    """Copy the images `numbers` to a split, in that order; files: where each is."""
    folder = recording_folders.image_folder(subject, split)
    folder.mkdir(parents=True)
    for row, number in enumerate(numbers, start=1):
        shutil.copyfile(
            files[int(number)],
            folder / f"{SPLIT_PREFIXES[split]}-{row:04d}_{recording_folders.nsd_stimulus_id(int(number))}.png",
        )


def write_fmri(
    subject: Path, hemispheres: Mapping[str, Hemisphere], repeats: np.ndarray, n_train: int, withheld: bool = False
) -> None:
    """Responses, ceilings, masks and mappings of both hemispheres.

    repeats (images,): repetitions averaged into each row. withheld: without test responses and all that tells of their
    noise, as the public archive is.
    """
    for side in HEMISPHERES:
        _write_responses(subject, side, hemispheres[side], n_train, withheld)
        _write_masks(subject / "roi_masks", side, hemispheres[side])
    _save(recording_folders.repeats_file(subject, "training"), repeats[:n_train].astype(np.int32))
    if not withheld:
        _save(recording_folders.repeats_file(subject, "test"), repeats[n_train:].astype(np.int32))
    for mask_class, names in ROI_CLASSES.items():
        mapping = {0: "Unknown", **dict(enumerate(names, start=1))}
        # An array of one object, as Algonauts' own mappings are.
        np.save(recording_folders.mapping_file(subject, mask_class), np.array(mapping), allow_pickle=True)


def _write_responses(subject: Path, side: str, hemisphere: Hemisphere, n_train: int, withheld: bool) -> None:
    which = HEMISPHERES.index(side)
    responses = hemisphere.responses.astype(np.float32)
    _save(recording_folders.response_files(subject, "training")[which], responses[:n_train])
    if withheld:
        return
    _save(recording_folders.response_files(subject, "test")[which], responses[n_train:])
    _save(recording_folders.ceiling_files(subject)[which], hemisphere.ceiling.astype(np.float32))
    _save(recording_folders.ncsnr_files(subject)[which], hemisphere.ncsnr.astype(np.float32))


def _write_masks(folder: Path, side: str, hemisphere: Hemisphere) -> None:
    """ROI masks over the subject's vertices (challenge space) and over fsaverage."""
    places = hemisphere.places
    ones = np.ones(len(places), np.int32)
    _save(folder / f"{side}.all-vertices_fsaverage_space.npy", _over_fsaverage(places, ones))
    for mask_class, names in hemisphere.rois.items():
        values = {name: value for value, name in enumerate(ROI_CLASSES[mask_class], start=1)} | {"": 0}
        mask = np.array([values[name] for name in names], np.int32)
        _save(folder / f"{side}.{mask_class}_challenge_space.npy", mask)
        _save(folder / f"{side}.{mask_class}_fsaverage_space.npy", _over_fsaverage(places, mask))


def _over_fsaverage(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    whole = np.zeros(FSAVERAGE_VERTICES, np.int32)
    whole[places] = values
    return whole


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
