"""An entry says how a figure is drawn, which laws it needs and what its caption says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuroscaling.reproductions.gokce2025.published_frames import PublishedData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def describe(entry: Entry, study: PublishedData, files: list[str]) -> dict[str, Any]:
    """The figure in words: name, title, caption, limits, files (names), fits (names of the laws it draws).

    The caption names every law that is left out with the reason; the limits name every asymptote among those drawn
    that the data do not identify.
    """
    facts = entry.facts(study)
    used = [name for name in entry.wanted if study.law(name)]
    absent = [absence(name, study) for name in entry.wanted if name not in used]
    return {
        "name": entry.name,
        "title": entry.title,
        "caption": " ".join([entry.caption.format(**facts), *absent]),
        "limits": " ".join([entry.limits.format(**facts), *_unidentified(used, study)]),
        "files": files,
        "fits": used,
    }


def absence(name: str, study: PublishedData) -> str:
    """A sentence on why the curve of a fit is left out."""
    content = study.fits.get(name)
    reason = "there is no such fit" if content is None else f"not testable ({_line(content['reason'])})"
    return f"The curve of {name} is left out: {reason}."


def _unidentified(names: list[str], study: PublishedData) -> list[str]:
    found = [n for n in names if not study.fits[n].get("identified", {}).get("E", {}).get("identified", True)]
    return [f"The data do not identify the asymptote E of {', '.join(found)}: read the curve, not E."] if found else []


def _line(text: str) -> str:
    return " ".join(text.split())
