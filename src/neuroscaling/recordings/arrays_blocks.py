"""Responses of a subject's units are read out of one's own array in blocks, with the repetitions of each image."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from neuroscaling.core.array_formats import OpenArray
from neuroscaling.core.errors import Problem, listing
from neuroscaling.study.array_layout import Layout
from neuroscaling.study.own_arrays import Axis, OwnStimuli, OwnUnits

NUMBER_BYTES = 8
HELD = 6
"""Arrays of a block's size that are held at once: as read, in order, with its statistics."""
NAMED = 5


@dataclass(frozen=True)
class SubjectArray:
    """The part of an open array that is a subject's.

    units: positions in the table of units; columns (units,): theirs in the array; rows: of the array, of each image.
    """

    array: OpenArray
    layout: Layout
    units: np.ndarray
    columns: np.ndarray
    rows: list[list[int]]

    @classmethod
    def of(cls, array: OpenArray, layout: Layout, units: OwnUnits, subject: str) -> "SubjectArray":
        """The units of a subject, in the order of the table of units."""
        found = units.of_subject(subject)
        return cls(array, layout, found, layout.columns[found], layout.rows)

    def blocks(self, memory_mb: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions among the units (t,), and their responses (t, images, repetitions) float64; NaN: not made.

        Columns are read in stretches of the array, whole chunks where `memory_mb` allows.
        """
        order = np.argsort(self.columns, kind="stable")
        ascending = self.columns[order]
        step, width = self._step(memory_mb), self.array.shape[self._axis]
        for start in range(0, width, step):
            stop = min(start + step, width)
            first, last = np.searchsorted(ascending, [start, stop])
            if first < last:
                yield order[first:last], self._read(ascending[first:last])

    @property
    def _axis(self) -> int:
        axis = self.layout.number("units")
        assert axis is not None
        return axis

    def _step(self, memory_mb: float) -> int:
        """Columns of a stretch."""
        n_rows = max(map(len, self.rows)) * len(self.rows)
        repetitions = self.layout.number("repetitions")
        shape = self.array.shape
        of_column = int(np.prod(shape)) // max(shape[self._axis], 1)
        held = max(of_column, n_rows * (1 if repetitions is None else shape[repetitions]))
        step = max(1, int(memory_mb * 1e6 / (HELD * NUMBER_BYTES * max(held, 1))))
        chunk = self.array.chunk[self._axis] if self.array.chunk else 1
        return step - step % chunk if step >= chunk else step

    def _read(self, columns: np.ndarray) -> np.ndarray:
        first = int(columns[0])
        block = self.array.read(self._axis, first, int(columns[-1]) + 1)
        block = np.moveaxis(block, [self.layout.axes.index(axis) for axis in self._order], range(len(self._order)))
        block = block[columns - first].astype(np.float64)
        presentations = block if block.ndim == 3 else block[..., None]
        most = max(map(len, self.rows))
        padded = np.full((len(self.rows), most), -1)
        for image, rows in enumerate(self.rows):
            padded[image, : len(rows)] = rows
        found = presentations[:, padded]  # (t, images, rows of an image, repetitions)
        found[:, padded < 0] = np.nan
        return found.reshape(len(columns), len(self.rows), -1)

    @property
    def _order(self) -> tuple[Axis, ...]:
        axes: tuple[Axis, ...] = ("units", "images", "repetitions")
        return axes[: len(self.layout.axes)]


@dataclass
class Gaps:
    """Responses that are missing or infinite, counted while blocks go by.

    shown (images,): images of which the subject has any response. Those without were not shown to the subject; any
    other image has a response of every unit.
    """

    shown: np.ndarray
    n: int = 0
    examples: list[tuple[int, int]] = field(default_factory=list)

    def look(self, positions: np.ndarray, responses: np.ndarray) -> None:
        """Count the gaps of a block of `SubjectArray.blocks`."""
        absent = ~np.isfinite(responses).any(axis=2)
        faulty = (absent & self.shown) | (~absent & ~self.shown) | np.isinf(responses).any(axis=2)
        if faulty.any():
            self.n += int(faulty.sum())
            units, images = np.nonzero(faulty)
            more = zip(positions[units[:NAMED]].tolist(), images[:NAMED].tolist(), strict=True)
            self.examples = [*self.examples, *more][:NAMED]

    def problem(self, part: SubjectArray, stimuli: OwnStimuli, units: OwnUnits) -> Problem | None:
        """What to tell of them; None where there are none."""
        if not self.n:
            return None
        found = [f"image {stimuli.ids[image]}, unit {_unit(units, part, unit)}" for unit, image in self.examples]
        what = f"{self.n} responses are NaN or infinite"
        fix = "leave the image or the unit out of its table and of the array; an image that was not shown has NaN alone"
        return Problem(what=what, where=part.array.place, value=listing(found), allowed="a number", fix=fix)


def repetitions_of(part: SubjectArray, memory_mb: float) -> np.ndarray:
    """How often the subject saw each image (images,), by the first unit that has a response to all that any has.

    0 of images to which no unit of the first block has a response: the subject did not see them.
    """
    _, responses = next(part.blocks(memory_mb))
    counts = np.isfinite(responses).sum(axis=2)
    shown = (counts > 0).any(axis=0)
    whole = (counts > 0)[:, shown].all(axis=1)
    return np.where(shown, np.maximum(counts[whole.argmax()], 1), 0)


def _unit(units: OwnUnits, part: SubjectArray, position: int) -> str:
    row = int(part.units[position])
    return units.ids[row] if units.ids is not None else f"{row} (from 0)"
