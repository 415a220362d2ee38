"""The images of a stimulus set are decoded batch by batch and preprocessed for a network."""

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.hashing import content_hash
from neuroscaling.core.images import ImageFile, decode_picture
from neuroscaling.stimuli.manifest import MANIFEST, files_in, read_manifest
from neuroscaling.study.architectures import ONE_PEACE, OWN, architecture
from neuroscaling.study.own_networks import is_dotted
from neuroscaling.study.published_weights import COLOURS, IMAGENET, presentation

IMAGENET_MEAN, IMAGENET_STD = IMAGENET
CLIP_MEAN, CLIP_STD = COLOURS["clip"]


@dataclass(frozen=True)
class Preprocessing:
    """Resize to a square (antialiased), cut the middle `crop` of its side, scale to 0..1, subtract `mean`, divide.

    size: pixels of each side that the network gets; crop: 1 for all of the image.
    """

    size: int
    interpolation: str = "bilinear"
    crop: float = 1.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    mode: str = "RGB"

    def load(self, file: ImageFile | Path) -> np.ndarray:
        """Return the image as uint8 (size, size, 3), or (size, size) for mode "L".

        Raises DataError for a damaged file, and for one that holds another image than it should.
        """
        file = file if isinstance(file, ImageFile) else ImageFile(file)
        side = int(self.size / self.crop)
        image = decode_picture(file.read(), str(file.path)).convert("RGB").convert(self.mode)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling[self.interpolation.upper()])
        edge = round((side - self.size) / 2)
        return np.asarray(image)[edge : edge + self.size, edge : edge + self.size]

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        crop = {} if self.crop == 1 else {"crop": self.crop}
        resize = {"size": self.size, "interpolation": f"{self.interpolation}, antialiased", **crop}
        return {"colour": "RGB", **resize, "mean": list(self.mean), "std": list(self.std)}


def preprocessing(arch: str, kind: str, normalise: bool = True, crop: bool = True, share: float = 1.0) -> Preprocessing:
    """What images go through ahead of a network: as its weights were published with, otherwise as in training here.

    kind: of the run, such as `trained`. normalise: False leaves values in 0..1, without mean and standard deviation;
    crop: False resizes all of the image to the network's input, without cutting its edges off; share: of the image's
    side that a network which others trained was shown.
    """
    own = replace(_own(arch, kind), crop=share) if share != 1 else _own(arch, kind)
    own = own if normalise else replace(own, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return own if crop else replace(own, crop=1.0)


def _own(arch: str, kind: str) -> Preprocessing:
    built = architecture(arch)
    if kind != "pretrained":
        return Preprocessing(built.input_size)
    if built.timm_name == ONE_PEACE:
        return Preprocessing(built.input_size, "bicubic", 1.0, CLIP_MEAN, CLIP_STD)  # as it was published
    if is_dotted(built.timm_name) or built.timm_name.startswith(OWN):  # weights of which only a folder has any
        return Preprocessing(built.input_size)
    shown = presentation(arch)
    if shown is None:
        return Preprocessing(built.input_size)
    return Preprocessing(built.input_size, shown.interpolation, shown.crop, shown.mean, shown.std)


Images = Generator[np.ndarray, None, None]
"""Batches of uint8 pixels; `close` ends what decodes them."""
AHEAD = 2
BATCH = 64


@dataclass(frozen=True)
class StimulusImages:
    """Which images, in which order; `facts` go to the manifest, and `made_from`: checksum of what was read."""

    stimulus_ids: list[str]
    files: list[ImageFile]
    facts: dict[str, Any]
    made_from: dict[str, str]


def stimulus_images(manifest: str | Path) -> StimulusImages:
    """Read a stimulus set's `manifest.json`. Raises DataError for another file, and for images that are missing."""
    content = read_manifest(manifest)
    files = files_in(content, Path(manifest).parent)
    identity = [[stimulus, file.sha1] for stimulus, file in files.items()]
    facts = {
        "set": content.set,
        "degrees": content.degrees,
        "simulated": content.simulated,
        "stimuli": content_hash(identity, 64),
    }
    read = {f"stimuli/{content.set}/{MANIFEST}": content.checksum}
    return StimulusImages(list(files), list(files.values()), facts, read)


def batches(files: Sequence[ImageFile], size: int, mode: str = "RGB", batch: int = BATCH) -> Iterator[np.ndarray]:
    """Images as uint8 (b, size, size, 3), or (b, size, size) for mode "L"; resized bilinearly with antialiasing."""
    return load([files[start : start + batch] for start in range(0, len(files), batch)], Preprocessing(size, mode=mode))


def load(portions: Sequence[Sequence[ImageFile]], preprocess: Preprocessing, workers: int = 0) -> Images:
    """Return the images of each portion as uint8 (b, size, size[, 3]), decoded ahead while the caller is busy.

    workers: processes that decode; 0: threads of this process, half as many as cores. At most AHEAD portions (for
    each process) wait. Raises DataError for an image that can't be decoded.
    """
    return _by_processes(portions, preprocess, workers) if workers else _by_threads(portions, preprocess)


def _by_threads(portions: Sequence[Sequence[ImageFile]], preprocess: Preprocessing) -> Images:
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(max(min(cores // 2, 8), 1), "images") as pool:
        waiting: deque[list[Future]] = deque()
        try:
            for portion in portions:
                waiting.append([pool.submit(preprocess.load, file) for file in portion])
                if len(waiting) > AHEAD:
                    yield np.stack([image.result() for image in waiting.popleft()])
            while waiting:
                yield np.stack([image.result() for image in waiting.popleft()])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _by_processes(portions: Sequence[Sequence[ImageFile]], preprocess: Preprocessing, workers: int) -> Images:
    # Baselines and readers of this room do without torch.
    from torch.utils.data import DataLoader, Dataset

    # What DataLoader asks of a data set is these two methods alone; its type asks for the class.
    loader: DataLoader[np.ndarray | list[Problem]] = DataLoader(
        cast(Dataset[np.ndarray | list[Problem]], _Portions(portions, preprocess)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD,
        collate_fn=_first,
        multiprocessing_context="forkserver",  # a fork of a process with threads may hang
    )
    for found in loader:
        if isinstance(found, list):
            raise DataError(found)
        yield np.asarray(found)


@dataclass(frozen=True)
class _Portions:
    portions: Sequence[Sequence[ImageFile]]
    preprocess: Preprocessing

    def __len__(self) -> int:
        return len(self.portions)

    def __getitem__(self, index: int) -> np.ndarray | list[Problem]:
        try:
            return np.stack([self.preprocess.load(file) for file in self.portions[index]])
        except NeuroscalingError as error:  # raised in the worker, it would lose its problems on the way
            return error.problems


def _first(value: Any) -> Any:
    return value
