"""Points and laws are drawn on a panel in the study's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.report.figure import look_handles
from neuroscaling.report.style import (
    BLUE,
    GREEN,
    INK,
    LOOKS,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    WARNING,
    YELLOW,
    Look,
    looks,
)
from neuroscaling.reproductions.gokce2025.published_frames import PublishedData

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


FAMILY_ORDER = ["AlexNet", "CORnet-S", "ResNet", "EfficientNet", "ConvNeXt", "ViT"]
NEURAL_COLOR, BEHAVIOR_COLOR = BLUE, VERMILION
# Families of the pretrained models that the other figures don't have.
MORE_FAMILIES = {
    "DaVit": Look(YELLOW, "*", "★"), "EfficientViT-B": Look(MUTED, "h", "⬢"), "FastViT": Look(PURPLE, "<", "◀"),
    "LeViT": Look(SKY, ">", "▶"), "MaxxViT": Look(YELLOW, "p", "⬟"), "MobileViT": Look(INK, "X", "✖"),
}  # fmt: skip
DATASET_LOOKS = {
    "imagenet": Look(BLUE, "o", "●"), "ecoset": Look(VERMILION, "s", "■"), "imagenet21kP": Look(GREEN, "^", "▲"),
    "webvisionP": Look(ORANGE, "D", "◆"), "places365": Look(PURPLE, "v", "▼"), "inaturalist": Look(SKY, "P", "✚"),
    "infimnist": Look("#8a8a8a", "X", "✖"),
}  # fmt: skip
OBJECTIVE_LOOKS = {
    "supervised": Look(BLUE, "o", "●"), "SimCLR": Look(ORANGE, "s", "■"), "DINO": Look(GREEN, "^", "▲"),
    "adversarial": Look(VERMILION, "D", "◆"), "untrained": Look("#9a9a9a", "v", "▼"),
}  # fmt: skip
SMALLEST, LARGEST = 4.0, 40.0  # marker areas in points^2
SIZES = (1e5, 3e8)  # parameters that these areas stand for


def family_look(family: str) -> Look:
    """Colour and marker of an architecture family."""
    return MORE_FAMILIES.get(family) or looks([family])[family]


def ordered(families: Any) -> list[str]:
    """The families in the order of the figures, unknown ones last in alphabetical order."""
    known = [family for family in FAMILY_ORDER if family in set(families)]
    return known + sorted(set(families) - set(known))


def dots(ax: Axes, x: Any, y: Any, look: Look, *, size: Any = 9.0, alpha: float = 0.55, **style: Any) -> None:
    """Small see-through points with a thin white rim."""
    defaults = {"edgecolors": "white", "linewidths": 0.25, "zorder": 2, "label": ""}
    ax.scatter(x, y, s=size, color=look.color, marker=look.marker, alpha=alpha, **{**defaults, **style})


def by_family(ax: Axes, frame: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """The points of `frame`, colour and marker by family."""
    for family in ordered(frame["family"]):
        mine = frame[frame["family"] == family]
        dots(ax, mine[x], mine[y], family_look(family), **style)


def by_samples(
    ax: Axes, frame: pd.DataFrame, x: str, y: str, hue: ScalarMappable, sizes: bool = False, **style: Any
) -> None:
    """The points of `frame`: hue by images seen, marker by family, area by parameters where `sizes`."""
    frame = frame.sort_values("n_params", ascending=False, kind="stable")  # small markers on top of large ones
    style = {"edgecolors": "white", "linewidths": 0.2, "alpha": 0.75, "zorder": 2, "s": 11.0, **style}
    for family in ordered(frame["family"]):
        mine, marker = frame[frame["family"] == family], family_look(family).marker
        area = {"s": areas(mine["n_params"])} if sizes else {}
        colors = hue.to_rgba(np.log10(mine["n_samples_seen"].to_numpy(dtype=float)))
        ax.scatter(mine[x], mine[y], c=colors, marker=marker, **{**style, **area})


def areas(n_params: Any) -> NDArray[np.float64]:
    """Marker areas (n,) that grow with the logarithm of the number of parameters."""
    low, high = np.log(SIZES)
    part = (np.log(np.asarray(n_params, dtype=float)) - low) / (high - low)
    return SMALLEST + (LARGEST - SMALLEST) * np.clip(np.nan_to_num(part), 0.0, 1.0)


def samples_hue(n_samples_seen: Any) -> ScalarMappable:
    """Perceptually even colours for log10 of the images seen; the palest end is left out."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    logs = np.log10(np.asarray(n_samples_seen, dtype=float))
    return ScalarMappable(Normalize(float(logs.min()), float(logs.max())), _dark_part())


def samples_bar(figure: Figure, hue: ScalarMappable, axes: list[Axes]) -> None:
    """The colour bar of `samples_hue`, labelled in images."""
    bar = figure.colorbar(hue, ax=axes, pad=0.015, fraction=0.035, aspect=32)
    low, high = hue.get_clim()
    ticks = np.arange(np.ceil(low), np.floor(high) + 1)
    bar.set_ticks(ticks, labels=[f"$10^{{{int(tick)}}}$" for tick in ticks])
    bar.set_label("Images seen in training, D")
    bar.outline.set_visible(False)


def family_handles(families: Any, color: str | None = None) -> list[Artist]:
    """Legend entries of the families."""
    return look_handles({family: family_look(family) for family in ordered(families)}, color)


def size_handles(values: tuple[float, ...] = (1e6, 1e7, 1e8)) -> list[Artist]:
    """Legend entries of marker areas, labelled in parameters."""
    from matplotlib.lines import Line2D

    style = {"marker": LOOKS["resnet"].marker, "color": MUTED, "linestyle": ""}
    return [
        Line2D([], [], markersize=float(np.sqrt(areas([v])[0])), label=f"N = $10^{{{int(np.log10(v))}}}$", **style)
        for v in values
    ]


def _dark_part() -> Colormap:
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(0.08, 1.0, 256)), "viridis, dark part")


CI95, CI70 = ("p2.5", "p97.5"), ("p15", "p85")
DOTTED, DASHED = (0, (1, 1.2)), (0, (4, 2.2))
Curve = dict[str, NDArray[np.float64]]


def draw_law(
    ax: Axes,
    study: PublishedData,
    name: str,
    color: str,
    *,
    levels: tuple[str, str] | None = CI95,
    extend: float = 1.0,
    style: Any = "-", corrected: bool = True,
) -> NDArray[np.float64]:  # fmt: skip
    """Draw the law `name` where it is there, and give back its scores, so that the y range can hold them.

    levels: columns of the band, or None; extend: how far beyond the largest x, as a factor; corrected: draw the
    corrected twin as a thin dashed line.
    """
    shown = [np.empty(0)]
    law = study.law(name)
    if law and law.get("curve"):
        inside, beyond = curve_arrays(law["curve"]), cut_beyond(curve_arrays(law.get("beyond") or {}), extend)
        for part, dash, alpha in ((inside, style, 0.18), (beyond, DOTTED, 0.1)):
            _draw_curve(ax, part, color, dash, levels, alpha)
            shown.append(part["fit"])
    twin = study.law(f"{name}.corrected") if corrected else None
    if twin and twin.get("curve"):
        curve = curve_arrays(twin["curve"])
        ax.plot(curve["x"], curve["fit"], color=twin_color(color), linewidth=0.9, linestyle=DASHED, zorder=5)
    return np.concatenate(shown)


def twin_color(color: str) -> str:
    """The colour of a corrected law: a dark shade of its law's, which shows on top of it where both coincide."""
    from matplotlib.colors import to_hex, to_rgb

    return WARNING if color == INK else to_hex([0.45 * part for part in to_rgb(color)])


def curve_arrays(curve: dict[str, list[float | None]]) -> Curve:
    """A curve of a fit file as arrays; null is NaN."""
    return {key: np.array(curve.get(key, []), dtype=float) for key in ("x", "fit", *CI95, *CI70)}


def cut_beyond(beyond: Curve, factor: float) -> Curve:
    """The part of a curve beyond the data up to `factor` times its first x."""
    x = beyond["x"]
    n = int(np.sum(x <= factor * x[0] * (1 + 1e-9))) if x.size and factor > 1 else 0
    return {key: values[:n] for key, values in beyond.items()}


def _draw_curve(ax: Axes, curve: Curve, color: str, dash: Any, levels: tuple[str, str] | None, alpha: float) -> None:
    if not curve["x"].size:
        return
    if levels and curve[levels[0]].size:
        ax.fill_between(curve["x"], curve[levels[0]], curve[levels[1]], color=color, alpha=alpha, linewidth=0, zorder=1)
    ax.plot(curve["x"], curve["fit"], color=color, linewidth=1.7, linestyle=dash, zorder=4)


def law_handles(
    band: str = "95 % band", extended: str = "", corrected: bool = True, color: str = MUTED, law: str = "published"
) -> list[Artist]:
    """Legend entries for what `draw_law` draws. extended: how far the laws go on, such as "x10"; law: what it is."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [Line2D([], [], color=color, linewidth=1.7, label=f"law, as {law}")]
    handles.append(Patch(color=color, alpha=0.18, linewidth=0, label=band))
    if extended:
        handles.append(
            Line2D([], [], color=color, linewidth=1.7, linestyle=DOTTED, label=f"beyond the data, {extended}")
        )
    if corrected:
        handles.append(
            Line2D([], [], color=twin_color(color), linewidth=0.9, linestyle=DASHED, label="law, corrected mode")
        )
    return handles
