"""A figure has panels, a legend, words that say what it shows, and files."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroscaling.core.files import atomic_path
from neuroscaling.laws.curves import Curve
from neuroscaling.report.style import SETTINGS, WARNING, Dash, Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Array = NDArray[np.float64]
Style = dict[str, Any]  # keywords of matplotlib's artists, whose stubs give each its own type
PANEL = (3.1, 2.5)  # inches
SMALLEST, LARGEST = 4.0, 40.0  # marker areas in points^2
SIZES = (1e5, 3e8)  # parameters that these areas stand for
RASTER = 160  # dots an inch, for points that are drawn as pixels because they are so many
log = logging.getLogger(__name__)
SHARED = 10  # elements of one style, from which on it becomes a class


@contextmanager
def drawing_settings(name: str, fonttype: str = "path") -> Iterator[None]:
    """Settings for drawing and saving; the ids inside the SVG follow from `name` and are the same in every run.

    fonttype: `none` leaves letters as text, for the browser to draw.
    """
    import matplotlib

    settings: dict[Any, Any] = {**SETTINGS, "svg.hashsalt": name, "svg.fonttype": fonttype}
    with matplotlib.rc_context(settings):
        yield


def panels(
    rows: int, columns: int, *, foot: float = 0.7, head: float = 0.0, panel: tuple[float, float] = PANEL,
    share_x: bool = False, share_y: bool = False, fixed: bool = False,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """A figure of rows x columns panels without pyplot's global state; `foot` inches are added for the legend, `head`
    for a title of the whole.

    fixed: margins in inches, since matplotlib's own layout draws each figure several times.
    """
    from matplotlib.figure import Figure

    width, height = panel[0] * columns, panel[1] * rows + foot + head
    figure = Figure(figsize=(width, height), layout=None if fixed else "constrained")
    margins = _fixed_margins(width, height, foot, head) if fixed else None
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share_x, sharey=share_y, gridspec_kw=margins)
    return figure, list(axes.ravel())


def _fixed_margins(width: float, height: float, foot: float, head: float) -> dict[str, float]:
    """Margins as shares of a figure of `width` x `height` inches."""
    sides = {"left": 0.55 / width, "right": 1 - 0.1 / width}
    ends = {"top": 1 - (0.4 + head) / height, "bottom": (0.45 + foot) / height}
    return {**sides, **ends, "wspace": 0.32, "hspace": 0.55}


def legend(figure: Figure, handles: list[Artist], columns: int = 4) -> None:
    """One legend below the panels, outside the data."""
    style: Style = {"frameon": False, "fontsize": 7.5, "handletextpad": 0.5, "columnspacing": 1.4}
    style["loc"] = "outside lower center" if figure.get_layout_engine() else "lower center"
    figure.legend(handles=handles, ncols=columns, **style)


def label(ax: Axes, title: str = "", x: str = "", y: str = "", log: bool = False) -> None:
    """Title and axis labels of a panel; log: logarithmic x axis."""
    if log:
        log_axis(ax)
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)


def log_axis(ax: Axes) -> None:
    """A logarithmic x axis whose labels stay apart: powers of ten, and of a short range what stands between them."""
    from matplotlib.ticker import FuncFormatter

    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: _between_powers(value, ax.get_xlim())))


def _between_powers(value: float, limits: tuple[float, float]) -> str:
    """The label of a tick between powers of ten; empty where the axis, from one of `limits` to the other, is long."""
    low, high = sorted(limits)
    decades, exponent = float(np.log10(high / low)), int(np.floor(np.log10(value) + 1e-9))
    leading = value / 10**exponent
    if decades < 0.35:  # nearly linear: at most five labels
        unit = 10.0 ** np.floor(np.log10(low))
        step = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / unit / step <= 4), 1.0)
        shown = abs(value / unit / step - round(value / unit / step)) < 1e-6
    else:
        shown = any(abs(leading - digit) < 1e-6 for digit in ((2, 3, 5, 7) if decades < 0.7 else (2, 5)))
    if not shown or decades > 1.4:
        return ""
    return f"{value:.10g}" if -3 <= exponent <= 3 else rf"${leading:.4g}\times10^{{{exponent}}}$"


def set_y_range(ax: Axes, *values: Any) -> None:
    """The y range that holds all `values` (sequences) with a margin: a band that runs away is cut, no point is."""
    parts = [np.asarray(part, dtype=float).ravel() for part in values]
    shown = np.concatenate([part[np.isfinite(part)] for part in parts])
    if shown.size:
        margin = 0.06 * (shown.max() - shown.min()) or 0.05
        ax.set_ylim(shown.min() - margin, shown.max() + margin)


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write <stem>.svg and <stem>.pdf, each whole or not at all."""
    figure.align_ylabels()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the positions stand now; the second format need not find them again
    svg, pdf = stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.pdf")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, dpi=RASTER)  # no dates: same input, same file
    with atomic_path(svg) as temporary:
        temporary.write_text(compact_svg(text.getvalue(), f"s{crc32(stem.name.encode()):08x}"), encoding="utf-8")
    with atomic_path(pdf) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None}, dpi=RASTER)
    return [svg, pdf]


def compact_svg(svg: str, prefix: str) -> str:
    """The same picture in a shorter text: styles that many elements share become classes, named from `prefix`.

    Positions of markers are rounded to a hundredth of a point.
    """
    counts = Counter(re.findall(r' style="([^"]+)"', svg))
    names = {style: f"{prefix}-{i}" for i, (style, n) in enumerate(counts.items()) if n >= SHARED}
    svg = re.sub(r' style="([^"]+)"', lambda m: f' class="{names[m[1]]}"' if m[1] in names else m[0], svg)
    svg = re.sub(r' ([xy])="(-?\d+\.\d\d)\d+"', r' \1="\2"', svg)
    rules = "".join(f".{name} {{{style}}}\n" for style, name in names.items())
    return svg.replace("</style>", f"{rules}</style>", 1)


SIMULATED_RECORDINGS = "SIMULATED recordings: nothing here is a finding about a brain."


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
            "caption": f"{SIMULATED_RECORDINGS} {self.caption}" if simulated else self.caption,
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


def write_figure(folder: Path, figure: Drawing, name: str = "", simulated: bool = False) -> dict[str, Any]:
    """Write a figure to `folder` as <name>.svg and <name>.pdf, and give back its description.

    name: by default the figure's own; simulated: say on the figure and in its caption that its data are.
    """
    name = name or figure.name
    with drawing_settings(name):
        drawn = figure.draw()
        if simulated:
            mark_simulated(drawn)
        paths = save_figure(drawn, folder / name)
    log.info("%s written", name)
    return figure.described(name, [path.name for path in paths], simulated)


def mark_simulated(figure: Figure) -> None:
    """Say on the figure itself that its data are simulated."""
    figure.suptitle("SIMULATED DATA", x=0.995, ha="right", fontsize=8, fontweight="bold", color=WARNING)


def sentences(*parts: str) -> str:
    """The parts that are not empty, as one text."""
    return " ".join(part for part in parts if part)


def marker_areas(
    n_params: ArrayLike, sizes: tuple[float, float] = SIZES, areas: tuple[float, float] = (SMALLEST, LARGEST)
) -> Array:
    """Marker areas (n,) in points^2 that grow with the logarithm of the number of parameters (n,).

    sizes: the parameters that the smallest and the largest of `areas` stand for; unknown numbers get the smallest.
    """
    low, high = np.log(sizes)
    part = (np.log(np.asarray(n_params, dtype=float)) - low) / (high - low)
    return areas[0] + (areas[1] - areas[0]) * np.clip(np.nan_to_num(part), 0.0, 1.0)


def draw_curve(
    ax: Axes, curve: Curve, color: str, *, dash: Dash = "-", width: float = 1.7, band: int | None = 95,
    shade: float = 0.18, zorder: int = 4,
) -> None:  # fmt: skip
    """Draw a law, and where it has one its pointwise interval of `band` percent; nothing for a curve without points."""
    if not curve.x.size:
        return
    low, high = curve.band(band) if band else (np.empty(0), np.empty(0))
    if low.size:
        ax.fill_between(curve.x, low, high, color=color, alpha=shade, linewidth=0, zorder=1)
    ax.plot(curve.x, curve.fit, color=color, linewidth=width, linestyle=dash, zorder=zorder)


def line_handle(label: str, color: str, dash: Dash = "-", width: float = 1.7) -> Artist:
    """The legend entry of a line."""
    from matplotlib.lines import Line2D

    # The stubs of matplotlib narrow line styles to literals, which a variable can't be.
    style: Style = {"linestyle": dash, "linewidth": width}
    return Line2D([], [], color=color, label=label, **style)


def look_handles(named: dict[str, Look], color: str | None = None) -> list[Artist]:
    """Legend entries of looks; color: one colour for all, where the hue means something else."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], marker=look.marker, color=color or look.color, linestyle="", markersize=5, label=name)
        for name, look in named.items()
    ]
