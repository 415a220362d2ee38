"""An entry says how a figure is drawn, which laws it needs and what its caption says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import listing
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.report.figure import Drawing
from neuroscaling.reproductions.gokce2025.published_frames import PublishedData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SHOWN = 3
"""Laws that a caption names of those that a study does not fit."""
LEVEL = "Bands are pointwise 95 % intervals of the bootstraps."
DASHED = "Thin dashed lines are the laws of the corrected mode."
BEYOND = "Dotted lines continue the laws beyond the data."
SEEDS = "Seeds of one network count as points of their own, and points have no error bars."
TWO_SCALES = (
    "Neural scores are (r / ceiling)², that of behaviour is r / √ceiling, as published: asymptotes hold for their own "
    "scale only, heights of the two are not comparable, and an average over both mixes them."
)


@dataclass(frozen=True)
class Entry:
    """A figure. caption: what it shows, limits: what it does not show; both may hold {places} for `facts`.

    laws: names of the fits in parity mode; corrected: whether their corrected twins are drawn too; facts: numbers for
    the places in the texts.
    """

    name: str
    title: str
    caption: str
    limits: str
    draw: Callable[[PublishedData], Figure]
    laws: tuple[str, ...] = ()
    corrected: bool = False
    facts: Callable[[PublishedData], dict[str, Any]] = lambda study: {}

    @property
    def wanted(self) -> list[str]:
        """Names of all fits that the figure draws where they are there."""
        return [*self.laws, *(f"{name}.corrected" for name in self.laws if self.corrected)]

    def is_of(self, fits: Mapping[str, FitRecord]) -> bool:
        """Whether a study with these fits has asked for any law of the figure; of a figure without laws always."""
        return not self.wanted or any(name in fits for name in self.wanted)

    def drawing(self, study: PublishedData) -> Drawing:
        """The figure of a study.

        Its caption names every law that is left out, with the reason; its limits name every asymptote among those drawn
        that the data do not identify.
        """
        facts = self.facts(study)
        used = {name: law for name in self.wanted if (law := study.law(name))}
        absent = absences([name for name in self.wanted if name not in used], study)
        caption = " ".join([self.caption.format(**facts), *absent])
        limits = " ".join([self.limits.format(**facts), *_unidentified(list(used.values()))])
        return Drawing(self.name, self.title, caption, limits, lambda: self.draw(study), tuple(used))


def absences(names: Sequence[str], study: PublishedData) -> list[str]:
    """Sentences on why the curves of these fits are left out: one for all that the study does not fit."""
    unasked = [name for name in names if name not in study.fits]
    failed = [name for name in names if name in study.fits]
    sentences = [
        f"The curve of {name} is left out: not testable ({_line(study.fits[name].reason)})." for name in failed
    ]
    if unasked:
        curves = "The curve" if len(unasked) == 1 else f"{len(unasked)} curves"
        verb = "is" if len(unasked) == 1 else "are"
        sentences.append(f"{curves} of laws that this study does not fit {verb} left out: {listing(unasked, SHOWN)}.")
    return sentences


def _unidentified(laws: list[FinishedLaw]) -> list[str]:
    found = [law.name for law in laws if law.form.asymptote == "E" and not law.asymptote_identified]
    return [f"The data do not identify the asymptote E of {', '.join(found)}: read the curve, not E."] if found else []


def _line(text: str) -> str:
    return " ".join(text.split())
