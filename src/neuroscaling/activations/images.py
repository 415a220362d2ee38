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
from neuroscaling.errors import DataError, NeuroscalingError, Problem
from neuroscaling.files import read_json
from neuroscaling.hashing import content_hash

AHEAD = 2
BATCH = 64
FORMAT = "stimuli/1"


@dataclass(frozen=True)
class StimulusImages:
    """Which images, in which order: `<folder>/images/<filename>` for each stimulus id; `facts` go to the manifest."""

    stimulus_ids: list[str]
    paths: list[Path]
    facts: dict[str, Any]


def stimulus_images(manifest: str | Path) -> StimulusImages:
    """Read a stimulus set's `manifest.json`. Raises DataError for another file, and for images that are missing."""
    manifest = Path(manifest)
    content = read_json(manifest)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(Problem("not the manifest of a stimulus set", str(manifest), allowed=FORMAT))
    stimuli = content["stimuli"]
    paths = [manifest.parent / "images" / stimulus["filename"] for stimulus in stimuli]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        what = f"{len(missing)} of {len(paths)} images are missing"
        raise DataError(Problem(what, str(manifest), ", ".join(missing[:5]), fix="prepare the stimulus set again"))
    identity = [[stimulus["stimulus_id"], stimulus["sha1"]] for stimulus in stimuli]
    facts = {
        "set": content["set"],
        "degrees": content.get("degrees"),
        "simulated": content.get("simulated"),
        "stimuli": content_hash(identity, 64),
    }
    return StimulusImages([str(stimulus["stimulus_id"]) for stimulus in stimuli], paths, facts)


def batches(paths: Sequence[Path], size: int, mode: str = "RGB", batch: int = BATCH) -> Iterator[np.ndarray]:
    """Images as uint8 (b, size, size, 3), or (b, size, size) for mode "L"; resized bilinearly with antialiasing."""
    return load([paths[start : start + batch] for start in range(0, len(paths), batch)], Preprocessing(size, mode=mode))


def load(portions: Sequence[Sequence[Path]], preprocess: Preprocessing, workers: int = 0) -> Iterator[np.ndarray]:
    """The images of each portion as uint8 (b, size, size[, 3]), decoded ahead while the caller is busy.

    workers: processes that decode; 0: threads of this process, half as many as cores. At most AHEAD portions (for
    each process) wait. Raises DataError for an image that can't be decoded.
    """
    return _by_processes(portions, preprocess, workers) if workers else _by_threads(portions, preprocess)


def _by_threads(portions: Sequence[Sequence[Path]], preprocess: Preprocessing) -> Iterator[np.ndarray]:
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(max(min(cores // 2, 8), 1), "images") as pool:
        waiting: deque[list[Future]] = deque()
        try:
            for portion in portions:
                waiting.append([pool.submit(preprocess.load, path) for path in portion])
                if len(waiting) > AHEAD:
                    yield np.stack([image.result() for image in waiting.popleft()])
            while waiting:
                yield np.stack([image.result() for image in waiting.popleft()])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _by_processes(portions: Sequence[Sequence[Path]], preprocess: Preprocessing, workers: int) -> Iterator[np.ndarray]:
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
    portions: Sequence[Sequence[Path]]
    preprocess: Preprocessing

    def __len__(self) -> int:
        return len(self.portions)

    def __getitem__(self, index: int) -> np.ndarray | list[Problem]:
        try:
            return np.stack([self.preprocess.load(path) for path in self.portions[index]])
        except NeuroscalingError as error:  # raised in the worker, it would lose its problems on the way
            return error.problems


def _first(value: Any) -> Any:
    return value
