"""Each trial of NSD goes to a row of a split; images that the challenge tested on are set apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroscaling.stimuli.nsd_design import PLANNED_SESSIONS, Design
from neuroscaling.study.preparation_jobs import HeldOut, Repeats

WITHHELD = 3
"""The challenge tests on images of the last scan sessions, which were not public then."""
SPLITS = ("training", "test")


@dataclass(frozen=True)
class Rows:
    """Rows of one split. ids (rows,): NSD ids, ascending; repeats (rows,): trials that are averaged into each;
    row (sessions, trials): row of each trial, -1 for trials that aren't of this split."""

    ids: np.ndarray
    repeats: np.ndarray
    row: np.ndarray

    @property
    def stimulus_ids(self) -> list[str]:
        """Names of the images, `nsd-00013`."""
        return [f"nsd-{number:05d}" for number in self.ids]


def split_rows(
    design: Design, subject: str, sessions: Sequence[int], test: HeldOut, repeats: Repeats = "average"
) -> dict[str, Rows]:
    """Rows of the training and the test split of the scan sessions `sessions` (from 1).

    shared1000: the images that all subjects saw are the test set. challenge: see `challenge_rows`; sessions are then
    all that the subject completed. keep: each trial has a row of its own, those of an image in the order of time.
    """
    shown = design.shown(subject, sessions)
    if test == "challenge":
        training, held_out = _challenge(design, shown)
    else:
        held_out = np.isin(shown, design.shared)
        training = ~held_out
    return {"training": rows_of(shown, training, repeats), "test": rows_of(shown, held_out, repeats)}


def rows_of(shown: np.ndarray, member: np.ndarray, repeats: Repeats) -> Rows:
    """Rows of the trials `member` (sessions, trials) of those that showed the images `shown` (sessions, trials)."""
    return _averaged(shown, member) if repeats == "average" else _kept(shown, member)


def _challenge(design: Design, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trials (sessions, trials) of the training and test split of Algonauts 2023 (Gifford and others, 2301.03198).

    Training: all trials before the last three sessions. Test: images that were seen in the last three alone; the
    shared ones among them count only for subjects who completed all sessions (counted out from the public archive).
    """
    early = np.zeros(shown.shape, bool)
    early[: len(shown) - WITHHELD] = True
    late_only = ~early & ~np.isin(shown, shown[early])
    if len(shown) < PLANNED_SESSIONS:
        late_only &= ~np.isin(shown, design.shared)
    return early, late_only


def _averaged(shown: np.ndarray, member: np.ndarray) -> Rows:
    ids, row_of, repeats = np.unique(shown[member], return_inverse=True, return_counts=True)
    row = np.full(shown.shape, -1)
    row[member] = row_of
    return Rows(ids, repeats, row)


def _kept(shown: np.ndarray, member: np.ndarray) -> Rows:
    ids = shown[member]
    order = np.argsort(ids, kind="stable")
    row = np.full(shown.shape, -1)
    row[tuple(index[order] for index in np.nonzero(member))] = np.arange(len(ids))
    return Rows(ids[order], np.ones(len(ids), int), row)
