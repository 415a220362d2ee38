"""These figures compare regions of the ventral stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.report.figure import label, legend, look_handles, panels, set_y_range
from neuroscaling.report.style import BLUE, INK, ORANGE, PURPLE, Look, axis_label
from neuroscaling.reproductions.gokce2025.figure_entry import DASHED, LEVEL, SEEDS, TWO_SCALES, Entry
from neuroscaling.reproductions.gokce2025.points_and_curves import dots, draw_law, law_handles
from neuroscaling.reproductions.gokce2025.published_frames import REGIONS, PublishedData, supervised

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PRIORS = {
    "group1": (["ResNet", "EfficientNet", "CORnet-S", "AlexNet"], Look(BLUE, "o", "●")),
    "group2": (["ConvNeXt", "ViT"], Look(ORANGE, "^", "▲")),
}
WORDS = {
    "group1": "strong prior (ResNet, EfficientNet, CORnet-S, AlexNet)",
    "group2": "weak prior (ConvNeXt, ViT)",
}
NAMES = {region: region.lower() for region in REGIONS} | {"Behavioral": "behavior"}
TITLES = {region: region for region in REGIONS} | {"Behavioral": "Behaviour"}
COMPUTE = axis_label("total_flops")
GAIN_AT = 1e14  # FLOPs: x = 10 in the published unit of 1e13


def compared(study: PublishedData) -> Figure:
    """Five regions with the laws of both priors, and the misalignment that was left to lose at 1e14 FLOPs."""
    figure, axes = panels(2, 3, panel=(2.8, 2.4))
    frame = supervised(study.models)
    for i, (ax, region) in enumerate(zip(axes, REGIONS, strict=False)):
        shown = [_prior(ax, study, frame, region, group) for group in PRIORS]
        label(ax, TITLES[region], COMPUTE, "Alignment S" if i in (0, 3) else "", log=True)
        set_y_range(ax, frame[region], *shown)
    _gain_bars(axes[5], study)
    looks = {WORDS[group]: look for group, (_, look) in PRIORS.items()}
    legend(figure, [*look_handles(looks), *law_handles()], 2)
    return figure


def _prior(ax: Axes, study: PublishedData, frame: pd.DataFrame, region: str, group: str) -> NDArray[np.float64]:
    families, look = PRIORS[group]
    mine = frame[frame["family"].isin(families)]
    dots(ax, mine["total_flops"], mine[region], look, size=6.0, alpha=0.35)
    return draw_law(ax, study, f"region_{NAMES[region]}_{group}", look.color)


def gain(law: FinishedLaw) -> tuple[float, list[float] | None]:
    """A x^-alpha at 1e14 FLOPs: the misalignment that compute can still remove there; and its 95 % interval.

    The interval is None for a law without resamples. Resamples with an infinite parameter are left out (paper section
    10.5).
    """
    x = GAIN_AT / float(law.scales[0])
    value = law.params["A"] * x ** -law.params["alpha"]
    if law.resamples is None:
        return value, None
    amplitude, alpha = (law.resamples.params[:, law.form.names.index(name)] for name in ("A", "alpha"))
    left = amplitude * x**-alpha
    low, high = np.percentile(left[np.isfinite(left)], [2.5, 97.5])
    return value, [float(low), float(high)]


def gains(study: PublishedData, ending: str = "") -> dict[str, tuple[float, list[float] | None]]:
    """The gain and its interval by region, of the laws of the strong prior that are there. ending: ".corrected"."""
    names = {region: f"region_{NAMES[region]}_group1{ending}" for region in REGIONS}
    laws = {region: study.law(name) for region, name in names.items()}
    return {region: gain(law) for region, law in laws.items() if law}


def _gain_bars(ax: Axes, study: PublishedData) -> None:
    color = PRIORS["group1"][1].color
    published, corrected = gains(study), gains(study, ".corrected")
    for region, (value, interval) in published.items():
        ax.bar(REGIONS.index(region), value, width=0.62, color=color, alpha=0.55)
        _whisker(ax, REGIONS.index(region) - 0.1, value, interval, INK, "")
    for region, (value, interval) in corrected.items():
        _whisker(ax, REGIONS.index(region) + 0.17, value, interval, PURPLE, "D")
    if published:
        ax.axhline(float(np.mean([value for value, _ in published.values()])), color=INK, linewidth=1, linestyle="--")
    ax.set_xticks(range(len(REGIONS)), ["V1", "V2", "V4", "IT", "Behav."])
    ax.set_title("Reducible misalignment left\nat 1e14 FLOPs, strong prior", fontsize=8.5)
    ax.set_ylabel("A x$^{-α}$")
    ax.set_ylim(bottom=0)


def _whisker(ax: Axes, x: float, value: float, interval: list[float] | None, color: str, marker: str) -> None:
    # An interval of the bootstraps need not hold the fitted value.
    ends = interval or [value, value]
    ax.plot([x, x], ends, color=color, linewidth=1.2, zorder=3)
    if marker:
        ax.plot(x, value, marker, color=color, markersize=4, markeredgecolor="white", markeredgewidth=0.4, zorder=4)


def _gain_text(study: PublishedData) -> dict[str, Any]:
    published = gains(study)
    values = ", ".join(f"{TITLES[region]} {value:.2f}" for region, (value, _) in published.items())
    no_interval = [TITLES[region] for region, (_, interval) in published.items() if interval is None]
    bare = f" No bootstraps, hence no interval: {', '.join(no_interval)}." if no_interval else ""
    return {"values": f"As published: {values or 'none'}.{bare}"}


REGION_FIGURES = [
    Entry(
        "fig5_regions_compare",
        "Regions compared: alignment against compute, and reducible misalignment left at C = 1e14",
        f"Each region's alignment against training compute, for strong and weak inductive priors. {LEVEL} {DASHED} "
        "Last panel: bars of A x^-alpha at 1e14 FLOPs of the strong prior's laws as published, with 95 % intervals of "
        "the bootstraps; purple diamonds: corrected mode; dashed line: mean of the bars. {values}",
        "The bars are the misalignment that compute can still remove at C = 1e14 under the law. They are not a gain "
        "per decade, and they lean on the asymptote that the law assumes. In the shifted law of the weak priors only "
        f"the curve and its band can be read. Each region has its own ceiling and its own chosen layer. {SEEDS} "
        f"{TWO_SCALES}",
        compared,
        tuple(f"region_{NAMES[region]}_{group}" for region in REGIONS for group in PRIORS),
        corrected=True,
        facts=_gain_text,
    )
]
