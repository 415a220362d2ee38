"""Images of a prepared stimulus set, decoded batch by batch."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.preprocess import Preprocessing
from neuroscaling.core.records import CHECKSUM
from neuroscaling.errors import DataError, NeuroscalingError, Problem
from neuroscaling.hashing import content_hash
from neuroscaling.images import ImageFile
from neuroscaling.stimuli.manifest import MANIFEST, files_in, read_manifest

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
        "set": content["set"],
        "degrees": content.get("degrees"),
        "simulated": content.get("simulated"),
        "stimuli": content_hash(identity, 64),
    }
    read = {f"stimuli/{content['set']}/{MANIFEST}": content[CHECKSUM]}
    return StimulusImages(list(files), list(files.values()), facts, read)


def batches(files: Sequence[ImageFile], size: int, mode: str = "RGB", batch: int = BATCH) -> Iterator[np.ndarray]:
    """Images as uint8 (b, size, size, 3), or (b, size, size) for mode "L"; resized bilinearly with antialiasing."""
    return load([files[start : start + batch] for start in range(0, len(files), batch)], Preprocessing(size, mode=mode))


def load(portions: Sequence[Sequence[ImageFile]], preprocess: Preprocessing, workers: int = 0) -> Iterator[np.ndarray]:
    """The images of each portion as uint8 (b, size, size[, 3]), decoded ahead while the caller is busy.

    workers: processes that decode; 0: threads of this process, half as many as cores. At most AHEAD portions (for
    each process) wait. Raises DataError for an image that can't be decoded.
    """
    return _by_processes(portions, preprocess, workers) if workers else _by_threads(portions, preprocess)


def _by_threads(portions: Sequence[Sequence[ImageFile]], preprocess: Preprocessing) -> Iterator[np.ndarray]:
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


def _by_processes(
    portions: Sequence[Sequence[ImageFile]], preprocess: Preprocessing, workers: int
) -> Iterator[np.ndarray]:
    from torch.utils.data import DataLoader

    loader = DataLoader(
        _Portions(portions, preprocess),
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
