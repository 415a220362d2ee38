"""Settings of an encoding: how responses are mapped and evaluated, and which rows do which."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.regression.cross_validation import shuffled_folds
from neuroscaling.regression.voxelwise.settings import PENALTY_GRIDS, SCORE_OF_PROTOCOL, NestedSubsets, RidgeSettings
from neuroscaling.study.sections.encoding import AlgonautsEncoding, RecordingsEncoding, Ridge

log = logging.getLogger(__name__)
FOLDS = {"corrected": 5, "parity": 8}
SEED = 0
Evaluate = Literal["test", "validation", "folds"]


@dataclass(frozen=True)
class EncodingSettings:
    """What determines an encoding beside the features and the responses.

    samples: mapping images of each size, "all" for all there are; repeats: draws of the nested subsets; evaluate:
    "test", "validation" (`validation` training images held out), or "folds" (`held_out_folds` shuffled ones of the
    training images, each held out once); equalise: training images used of a subject, or None; metrics: names in
    `metrics.METRICS`; final: whether the test images are predicted from all training images; draws: bootstraps of
    images; parity: rows, folds, features and intercepts as in github.com/suyamat/ScalingVisionEncoder; ridge: its keys
    that are None follow the protocol.
    """

    samples: tuple[int | Literal["all"], ...]
    repeats: int
    evaluate: Evaluate
    validation: int
    held_out_folds: int
    equalise: int | None
    metrics: tuple[str, ...]
    final: bool
    draws: int
    parity: bool
    ridge: Ridge

    @classmethod
    def of(cls, entry: RecordingsEncoding, protocol: str) -> "EncodingSettings":
        """From an entry of `encoding:`; a source that takes submissions has a final model where one is asked for."""
        own = {key: value for key, value in entry.ridge if value is not None}
        return cls(
            samples=tuple(entry.samples),
            repeats=entry.repeats,
            evaluate=entry.evaluate,
            validation=entry.validation,
            held_out_folds=entry.held_out_folds,
            equalise=entry.equalise,
            metrics=tuple(entry.metrics),
            final=isinstance(entry, AlgonautsEncoding) and bool(entry.submissions),
            draws=entry.draws,
            parity=protocol == "parity",
            ridge=entry.ridge_of_source.model_copy(update=own),
        )

    @property
    def folds(self) -> int:
        """Folds of the mapping images."""
        return self.ridge.folds or FOLDS[self._protocol]

    @property
    def memory_mb(self) -> int:
        """Bound of a job's working memory beside features and predictions."""
        return self.ridge.memory_mb

    @property
    def _protocol(self) -> str:
        return "parity" if self.parity else "corrected"

    def plain(self) -> dict[str, Any]:
        """The settings as JSON, for the details of a score file."""
        return {**vars(self), "ridge": self.ridge.model_dump(mode="json")}

    def ridge_settings(self, only_products: bool = False) -> RidgeSettings:
        """What ridge is asked for. only_products: features are not kept, so that they can't be standardised."""
        asked, protocol = self.ridge, self._protocol
        lowest, highest, number = asked.penalties or PENALTY_GRIDS[protocol]
        return RidgeSettings(
            alphas=tuple(np.geomspace(lowest, highest, number).tolist()),
            relative=not self.parity if asked.relative is None else asked.relative,
            score=asked.score or SCORE_OF_PROTOCOL[protocol],
            scale=asked.features or ("centre" if self.parity or only_products else "standardise"),
            intercept=not self.parity,
            memory_mb=asked.memory_mb,
            dtype=asked.precision or "float32",
        )


@dataclass(frozen=True)
class Sampling:
    """Rows of a subject's training split: nested mapping rows, and the rows that each leaves to be validated on (empty
    where the test split is evaluated). Draws of one order of images, and of its folds, stand together."""

    draws: tuple[NestedSubsets, ...]
    held_out: tuple[np.ndarray, ...]


def sample_rows(stimulus_ids: Sequence[str], settings: EncodingSettings, subject: str) -> Sampling:
    """Mapping rows of every size and draw, for training rows that show `stimulus_ids`.

    All rows of an image stay together: in a subset, in a fold, among those held out. Corrected: images are shuffled.
    Parity: the first rows in the order of the files, the last of those used held out, folds of neighbouring rows.
    Raises DataError with every size that the subject can't give; of folds larger sizes are left out, with a line in the
    log, since sessions differ in their numbers of images.
    """
    images = list(dict.fromkeys(stimulus_ids))
    used = _used(len(images), settings, subject)
    rows = _rows_by_image(stimulus_ids, images)
    drawn, held_out = [], []
    for repeat in range(1 if settings.parity else settings.repeats):
        pools = _pools(used, settings, subject, repeat)
        numbers = _numbers(min(len(pool) for pool, _, _ in pools), settings, subject)
        for pool, out, seed in pools:
            order = pool if settings.parity else np.random.default_rng(seed).permutation(pool)
            sizes = [*numbers, *([len(pool)] if "all" in settings.samples else [])]
            drawn.append(_draw(order, sizes, rows, settings))
            held_out.append(np.sort(_expand(out, rows)[0]))
    return Sampling(tuple(drawn), tuple(held_out))


def _pools(
    used: np.ndarray, settings: EncodingSettings, subject: str, repeat: int
) -> list[tuple[np.ndarray, np.ndarray, int | list[int]]]:
    """Images to map with and images held out, with the seed of the former's order, for each fold of a repeat."""
    if settings.evaluate != "folds":
        n = settings.validation if settings.evaluate == "validation" else 0
        return [(used[: len(used) - n], used[len(used) - n :], [SEED, 1 + repeat])]
    if len(used) <= settings.held_out_folds:
        what = f"{len(used)} images, and `evaluate: folds` makes {settings.held_out_folds} folds of them"
        raise DataError(Problem(what=what, where=subject, allowed="more images than folds"))
    images = np.sort(used)
    found = shuffled_folds(len(images), settings.held_out_folds, SEED)
    return [
        (images[train], images[held], SEED + fold if repeat == 0 else [SEED, fold, repeat])
        for fold, (train, held) in enumerate(found)
    ]


def all_rows(stimulus_ids: Sequence[str], settings: EncodingSettings) -> NestedSubsets:
    """All training rows as one mapping set: for the final model, whose test images no choice has seen."""
    images = list(dict.fromkeys(stimulus_ids))
    order = np.arange(len(images))
    if not settings.parity:
        order = np.random.default_rng([SEED, 0]).permutation(order)
    return _draw(order, [len(images)], _rows_by_image(stimulus_ids, images), settings)


def _used(n_images: int, settings: EncodingSettings, subject: str) -> np.ndarray:
    """Images in the order in which they are given to the two sides."""
    wanted = settings.equalise or n_images
    if wanted > n_images:
        what = f"`equalise` asks for {wanted} training images, and the subject has {n_images}"
        raise DataError(Problem(what=what, where=subject, value=wanted, allowed=f"at most {n_images}"))
    order = np.arange(n_images)
    return (order if settings.parity else np.random.default_rng([SEED, 0]).permutation(order))[:wanted]


def _numbers(n_pool: int, settings: EncodingSettings, subject: str) -> list[int]:
    """The sizes that are numbers, ascending, for pools of `n_pool` images or one more; without one that is all."""
    least = settings.folds
    if n_pool < least:
        what = f"{max(n_pool, 0)} mapping images are left, and there are {least} folds"
        fix = "hold fewer images out (`validation`), or take fewer folds"
        raise DataError(Problem(what=what, where=subject, allowed=f"{least} or more", fix=fix))
    most = n_pool - ("all" in settings.samples)
    numbers = sorted({int(size) for size in settings.samples if size != "all"})
    usable, above = [size for size in numbers if size <= most], [size for size in numbers if size > n_pool]
    if above and settings.evaluate == "folds" and (usable or "all" in settings.samples):
        log.warning("%s has no %s mapping images: a fold trains on %d", subject, listing(above), n_pool)
    elif above:
        what = f"more mapping images than the {n_pool} that the subject has"
        raise DataError(
            Problem(what=what, where=f"{subject}: samples", value=listing(above), allowed=f"at most {n_pool}, or `all`")
        )
    return usable


def _draw(
    order: np.ndarray, sizes: Sequence[int], rows: Sequence[np.ndarray], settings: EncodingSettings
) -> NestedSubsets:
    orders, folds = [], []
    for size in sizes:
        found, positions = _expand(order[:size], rows)
        orders.append(found)
        folds.append(_folds(size, settings)[positions])
    return NestedSubsets(tuple(sizes), tuple(orders), tuple(folds))


def _folds(size: int, settings: EncodingSettings) -> np.ndarray:
    """Fold of each image by its position. Dealt out in turn, folds of a smaller size are part of those of a larger."""
    if not settings.parity:
        return np.arange(size) % settings.folds
    return np.repeat(np.arange(settings.folds), [len(part) for part in np.array_split(np.arange(size), settings.folds)])


def _rows_by_image(stimulus_ids: Sequence[str], images: Sequence[str]) -> list[np.ndarray]:
    position = {image: i for i, image in enumerate(images)}
    which = np.array([position[stimulus] for stimulus in stimulus_ids])
    order = np.argsort(which, kind="stable")
    return np.split(order, np.cumsum(np.bincount(which, minlength=len(images)))[:-1])


def _expand(images: np.ndarray, rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `images` in their order, and for each row the position of its image."""
    if not len(images):
        return np.empty(0, int), np.empty(0, int)
    found = [rows[image] for image in images]
    return np.concatenate(found), np.repeat(np.arange(len(images)), [len(part) for part in found])
