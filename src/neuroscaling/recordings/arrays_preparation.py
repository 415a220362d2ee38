"""One's own array of responses is converted once to a folder of prepared recordings a subject, in blocks of units."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.leases import Lease
from neuroscaling.recordings.arrays_blocks import Gaps, SubjectArray, repetitions_of
from neuroscaling.recordings.prepared import MANIFEST, About, SplitRows, TargetColumns, make_once, write_recording
from neuroscaling.regression.scores import ncsnr_ceiling, repeat_ceiling, varies
from neuroscaling.study.array_layout import layout_of, opened_responses
from neuroscaling.study.own_arrays import TRAINING, OwnStimuli, OwnUnits, read_own_stimuli, read_own_units
from neuroscaling.study.preparation_jobs import ArraysJob

log = logging.getLogger(__name__)
BELOW_ONE = 1 - 1e-9
"""The highest ceiling that has a finite signal-to-noise ratio."""


def prepare_arrays_subject(job: ArraysJob) -> Path:
    """Convert the responses of a subject's units to the job's folder; returns its manifest.

    Repetitions of an image are averaged. Ceilings are those of the table of units; without them they follow from the
    repetitions (`regression.scores.repeat_ceiling`), where every unit has an image with two. An image without any
    response of the subject was not shown to the subject. Raises DataError with everything that is wrong with the
    tables, or with the array.
    """
    manifest, what = job.folder / MANIFEST, f"recordings of {job.subject}"
    return make_once(manifest, what, job.definition, lambda lease: _prepare(job, lease))


def _prepare(job: ArraysJob, lease: Lease) -> None:
    arrays = job.arrays
    stimuli, units = read_own_stimuli(arrays), read_own_units(arrays)
    if job.subject not in units.names:
        where, allowed = str(arrays.units), listing(units.names)
        raise DataError(Problem(what="no unit of this subject", where=where, value=job.subject, allowed=allowed))
    with opened_responses(arrays) as array:
        part = SubjectArray.of(array, layout_of(arrays, array, stimuli, units), units, job.subject)
        repetitions = repetitions_of(part, job.memory_mb)
        splits = _splits(stimuli, repetitions, job.subject, array.place)
        settings = {
            "responses": arrays.responses.name,
            "axes": list(part.layout.axes),
            "split": arrays.column or {"test": arrays.share, "seed": arrays.seed},
            "not_shown": int((repetitions == 0).sum()),
        }
        about = About(job.definition, arrays.name, job.subject, arrays.simulated, settings)
        rows = {
            name: SplitRows([stimuli.ids[image] for image in images], repetitions[images].tolist())
            for name, images in splits.items()
        }
        known = None if units.ceilings is None else units.ceilings[part.units]

        def fill(written: Mapping[str, np.memmap]) -> TargetColumns:
            gaps, found = Gaps(repetitions > 0), _Found.empty(len(part.units), splits)
            for positions, responses in part.blocks(job.memory_mb):
                gaps.look(positions, responses)
                found.take(positions, responses, written)
            if problem := gaps.problem(part, stimuli, units):
                raise DataError(problem)
            return _targets(part, units, found, known, repetitions)

        write_recording(job.folder, about, rows, len(part.units), fill, lease)


def _splits(stimuli: OwnStimuli, repetitions: np.ndarray, subject: str, place: str) -> dict[str, np.ndarray]:
    """Positions of the images of each split that the subject saw."""
    names = [TRAINING, *stimuli.test_sets()]
    splits = {name: np.array([i for i in stimuli.of_split(name) if repetitions[i]], np.intp) for name in names}
    if empty := [name for name, images in splits.items() if not len(images)]:
        what = f"{subject} saw no image of: {listing(empty)}"
        raise DataError(Problem(what=what, where=place, fix="leave the subject out (`subjects:`), or split otherwise"))
    return splits


@dataclass(frozen=True)
class _Found:
    """What is learnt of the units while blocks go by. usable (units,): which vary; explainable: share of the variance
    of their averages that repetitions can explain, by split and of all images under `whole`; NaN where none tell."""

    splits: dict[str, np.ndarray]
    usable: np.ndarray
    explainable: dict[str, np.ndarray]
    whole: np.ndarray

    @classmethod
    def empty(cls, n_units: int, splits: dict[str, np.ndarray]) -> "_Found":
        """Before any block."""
        nothing = {name: np.full(n_units, np.nan) for name in splits}
        return cls(splits, np.zeros(n_units, bool), nothing, np.full(n_units, np.nan))

    def take(self, positions: np.ndarray, responses: np.ndarray, written: Mapping[str, np.memmap]) -> None:
        """Write the averages (images, units) of a block (t, images, repetitions), and note what its units are like."""
        made = np.isfinite(responses)
        means = np.where(made, responses, 0.0).sum(2) / np.maximum(made.sum(2), 1)
        for name, images in self.splits.items():
            written[name][:, positions] = means[:, images].T
            self.explainable[name][positions] = _explainable(responses[:, images])
        seen = np.concatenate(list(self.splits.values()))
        self.usable[positions] = varies(means[:, seen].T)
        self.whole[positions] = _explainable(responses[:, seen])


def _explainable(responses: np.ndarray) -> np.ndarray:
    """`repeat_ceiling` (t,) of responses (t, images, repetitions); NaN for units without repetitions."""
    made = np.isfinite(responses).sum(2)
    told = (made > 1).any(1) & ((made > 0).sum(1) > 1)
    found = np.full(len(responses), np.nan)
    if told.any():
        found[told] = repeat_ceiling(np.where(np.isfinite(responses[told]), responses[told], np.nan))
    return found


def _targets(
    part: SubjectArray, units: OwnUnits, found: _Found, known: np.ndarray | None, repetitions: np.ndarray
) -> TargetColumns:
    """Columns of the units; with ceilings where the table or the repetitions tell those of every unit."""
    tests = {name: images for name, images in found.splits.items() if name != TRAINING}
    whole = found.whole if known is None else known
    ncsnr, ceilings = None, {}
    if np.isfinite(whole).all():
        seen = np.concatenate(list(found.splits.values()))
        c, weight = np.minimum(whole, BELOW_ONE), np.mean(1 / repetitions[seen])
        ncsnr = np.sqrt(c * weight / (1 - c))
        for name, images in tests.items():
            own = found.explainable[name] if known is None else known
            by_ratio = ncsnr_ceiling(ncsnr, dict(Counter(repetitions[images].tolist())))
            ceilings[name] = own if np.isfinite(own).all() else by_ratio
    elif np.isfinite(whole).any():
        n = int((~np.isfinite(whole)).sum())
        log.warning("%d units have no image with two repetitions: scores are not divided by a ceiling", n)
    names = units.region_names(part.units)
    return TargetColumns(
        hemisphere=np.full(len(part.units), "both"),
        vertex=np.arange(len(part.units)),
        usable=found.usable,
        regions={name: np.array([name in units.regions[unit] for unit in part.units]) for name in names},
        ceilings=ceilings,
        ncsnr=ncsnr,
        index=part.columns,
    )
