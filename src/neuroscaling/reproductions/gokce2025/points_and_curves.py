"""Points and laws are drawn on a panel in the study's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.report.figure import Style, draw_curve, line_handle, look_handles, marker_areas
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
    Dash,
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
        area = {"s": marker_areas(mine["n_params"])} if sizes else {}
        colors = hue.to_rgba(np.log10(mine["n_samples_seen"].to_numpy(dtype=float)))
        ax.scatter(mine[x], mine[y], c=colors, marker=marker, **{**style, **area})


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
    bar.set_ticks(ticks.tolist(), labels=[f"$10^{{{int(tick)}}}$" for tick in ticks])
    bar.set_label("Images seen in training, D")
    bar.outline.set_visible(False)


def family_handles(families: Any, color: str | None = None) -> list[Artist]:
    """Legend entries of the families."""
    return look_handles({family: family_look(family) for family in ordered(families)}, color)


def size_handles(values: tuple[float, ...] = (1e6, 1e7, 1e8)) -> list[Artist]:
    """Legend entries of marker areas, labelled in parameters."""
    from matplotlib.lines import Line2D

    style: Style = {"marker": LOOKS["resnet"].marker, "color": MUTED, "linestyle": ""}
    return [
        Line2D(
            [], [], markersize=float(np.sqrt(marker_areas([v])[0])), label=f"N = $10^{{{int(np.log10(v))}}}$", **style
        )
        for v in values
    ]


def _dark_part() -> Colormap:
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(0.08, 1.0, 256)), "viridis, dark part")


DOTTED: Dash = (0, (1, 1.2))
DASHED: Dash = (0, (4, 2.2))


def draw_law(
    ax: Axes,
    study: PublishedData,
    name: str,
    color: str,
    *,
    band: int | None = 95,
    extend: float = 1.0,
    style: Dash = "-", corrected: bool = True,
) -> NDArray[np.float64]:  # fmt: skip
    """Draw the law `name` where it is there, and give back its scores, so that the y range can hold them.

    band: percent of the interval that is drawn, or None; extend: how far beyond the largest x, as a factor; corrected:
    draw the corrected twin as a thin dashed line.
    """
    shown = [np.empty(0)]
    law = study.law(name)
    if law and law.curve:
        draw_curve(ax, law.curve, color, dash=style, band=band)
        shown.append(law.curve.fit)
        if law.beyond and extend > 1:
            beyond = law.beyond.up_to(extend)
            draw_curve(ax, beyond, color, dash=DOTTED, band=band, shade=0.1)
            shown.append(beyond.fit)
    twin = study.law(f"{name}.corrected") if corrected else None
    if twin and twin.curve:
        draw_curve(ax, twin.curve, twin_color(color), dash=DASHED, width=0.9, band=None, zorder=5)
    return np.concatenate(shown)


def twin_color(color: str) -> str:
    """The colour of a corrected law: a dark shade of its law's, which shows on top of it where both coincide."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(color)
    return WARNING if color == INK else to_hex((0.45 * red, 0.45 * green, 0.45 * blue))


def law_handles(
    band: str = "95 % band", extended: str = "", corrected: bool = True, color: str = MUTED, law: str = "published"
) -> list[Artist]:
    """Legend entries for what `draw_law` draws. extended: how far the laws go on, such as "x10"; law: what it is."""
    from matplotlib.patches import Patch

    handles = [line_handle(f"law, as {law}", color), Patch(color=color, alpha=0.18, linewidth=0, label=band)]
    if extended:
        handles.append(line_handle(f"beyond the data, {extended}", color, DOTTED))
    if corrected:
        handles.append(line_handle("law, corrected mode", twin_color(color), DASHED, 0.9))
    return handles
