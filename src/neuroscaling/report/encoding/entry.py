"""A figure with its words, and what stands in its place where the data are not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuroscaling.report.encoding.data import Encoding
from neuroscaling.report.style import WARNING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIMULATED = "SIMULATED recordings: nothing here is a finding about a brain."
SAMPLING = (
    "Vertices of one subject share images and noise and are never resampled; the draws of mapping images and the "
    "training of the networks are not part of the intervals."
)
NO_CEILING = "r is not divided by a noise ceiling, so that ROIs of different reliability cannot be compared by level."


@dataclass(frozen=True)
class Drawing:
    """A figure. caption: what it shows; limits: what it does not show; fits: names of the laws drawn."""

    name: str
    title: str
    caption: str
    limits: str
    draw: Callable[[], Figure]
    fits: tuple[str, ...] = ()

    def described(self, name: str, files: list[str], simulated: bool) -> dict[str, Any]:
        """The figure in words, as the page lists it; `name` as the files are called."""
        return {
            "name": name,
            "title": self.title,
            "caption": f"{SIMULATED} {self.caption}" if simulated else self.caption,
            "limits": self.limits,
            "files": files,
            "fits": list(self.fits),
        }


@dataclass(frozen=True)
class LeftOut:
    """A figure that could not be drawn, and why."""

    name: str
    title: str
    reason: str


def interval_words(encoding: Encoding) -> str:
    """What the intervals are over."""
    over = encoding.intervals["interval_over"]
    found = [words for words in dict.fromkeys(over) if words != "nothing"]
    if not found:
        return "There are no intervals: nothing was resampled."
    if "subjects and images" in found:
        return "Bands and bars: 95 % intervals of a hierarchical bootstrap (subjects are drawn, then evaluated images)."
    return f"Bands and bars: 95 % intervals of a bootstrap over {' or '.join(found)} alone."


def mark_simulated(figure: Figure) -> None:
    """Say on the figure itself that its data are simulated."""
    figure.suptitle("SIMULATED DATA", x=0.995, ha="right", fontsize=8, fontweight="bold", color=WARNING)


def sentences(*parts: str) -> str:
    """The parts that are not empty, as one text."""
    return " ".join(part for part in parts if part)
