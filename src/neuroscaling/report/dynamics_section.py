"""The part of the page that shows scores during training, of trainings that are scored at several epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.score_table import VALIDATION
from neuroscaling.report.figure import (
    Drawing,
    Style,
    label,
    legend,
    line_handle,
    look_handles,
    panels,
    sentences,
    write_figure,
)
from neuroscaling.report.sections import Section, render, with_pictures
from neuroscaling.report.style import MUTED, axis_label, looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ANCHOR = "dynamics"
IMAGES, EPOCH = "n_samples_seen", "epoch"
PANEL_KEYS = ["data", "benchmark", "metric", "region", "test_set", "scale", "protocol"]
COLUMNS = [
    *PANEL_KEYS, "run", "trajectory", EPOCH, IMAGES, "arch", "arch_family", "kind", "subject", "n_mapping", "layer",
    "simulated", "score",
]  # fmt: skip
"""Columns of the score table that the section reads."""
MOST_PANELS, ACROSS, PANEL = 12, 3, (2.9, 2.2)  # panels and inches
EDGE = 0.4  # of the least x: where untrained networks stand on an axis that has no 0
MANY_LINES = 300  # from which on they are drawn as pixels
UNTRAINED_DASH = (0, (1, 1.6))
LIMITS = (
    "The epochs of a training are no independent networks. Its learning rate falls by a schedule of its own: an epoch "
    "on its way is not what a shorter training would end with."
)


@dataclass(frozen=True, eq=False)
class Dynamics:
    """The scores of one region during training.

    key: what names the region's scores, by PANEL_KEYS; rows: one row a training and epoch, in order, with trajectory,
    epoch, n_samples_seen, arch, arch_family, layer, score (mean over subjects); untrained: mean score of the untrained
    networks of an architecture.
    """

    key: dict[str, Any]
    rows: pd.DataFrame
    untrained: dict[str, float]
    simulated: bool

    @property
    def trainings(self) -> list[pd.DataFrame]:
        """The rows of each training."""
        return [own for _, own in self.rows.groupby("trajectory", sort=False)]

    @property
    def starts(self) -> dict[str, float]:
        """Score of the untrained network of the same architecture, of the trainings that have one."""
        archs = {str(own["trajectory"].iloc[0]): str(own["arch"].iloc[0]) for own in self.trainings}
        return {training: self.untrained[arch] for training, arch in archs.items() if arch in self.untrained}


def dynamics_section(table: pd.DataFrame, folder: Path) -> Section | None:
    """The section, its figures written to `folder`; None where no training is scored at two epochs."""
    found = dynamics(table)
    if not found:
        return None
    simulated = any(own.simulated for own in found)
    values: dict[str, Any] = {
        "figures": [write_figure(folder, drawing, simulated=simulated) for drawing in _drawings(found)],
        "folder": folder.name,
        "rows": [dynamics_row(own, found) for own in found],
        "runs": len({training for own in found for training in own.rows["trajectory"]}),
        "layers": layer_sentence(found),
        "simulated": simulated,
    }
    return Section(with_pictures(render("dynamics.html", **values), folder.parent), [(ANCHOR, "Dynamics")])


def dynamics(table: pd.DataFrame) -> list[Dynamics]:
    """The regions of a score table whose trainings are scored at several epochs, in the table's order.

    Of several numbers of mapping images the largest counts. An epoch that lacks a subject of its training is left out.
    Empty for tables that do not say which epochs are of one training.
    """
    if not set(COLUMNS) <= set(table.columns):
        return []
    rows = table[table["score"].notna() & table["trajectory"].notna() & (table["benchmark"] != VALIDATION)]
    if not (rows.groupby("trajectory")[EPOCH].nunique() > 1).any():
        return []
    return [own for key, group in rows.groupby(PANEL_KEYS, dropna=False, sort=False) for own in _of_region(key, group)]


def _of_region(values: tuple[Any, ...], rows: pd.DataFrame) -> Iterator[Dynamics]:
    """The dynamics of the rows of one region; nothing where no training has several epochs."""
    import pandas as pd

    rows = rows[rows["n_mapping"].isna() | (rows["n_mapping"] == rows["n_mapping"].max())]
    epochs = _over_subjects(rows[(rows["kind"] != "untrained") & (rows[EPOCH] > 0) & (rows[IMAGES] > 0)])
    several = epochs[epochs.groupby("trajectory")[EPOCH].transform("nunique") > 1]
    if len(several):
        untrained = rows[rows["kind"] == "untrained"].groupby("arch")["score"].mean()
        starts = {str(arch): float(score) for arch, score in untrained.items() if arch in set(several["arch"])}
        key = {name: value for name, value in zip(PANEL_KEYS, values, strict=True) if pd.notna(value)}
        yield Dynamics(key, several, starts, bool(rows["simulated"].any()))


def _over_subjects(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a training and epoch, in this order."""
    rows = rows.assign(subject=rows["subject"].fillna(""), layer=rows["layer"].fillna(""))
    rows = rows.assign(arch_family=rows["arch_family"].fillna(""))
    groups = rows.groupby(["trajectory", EPOCH], sort=True)
    first = {name: (name, "first") for name in (IMAGES, "arch", "arch_family")}
    found = groups.agg(
        **first,
        subjects=("subject", "nunique"),
        layer=("layer", lambda layers: " ".join(sorted(set(layers)))),
        score=("score", "mean"),
    ).reset_index()
    return found[found["subjects"] == found.groupby("trajectory")["subjects"].transform("max")]


def region_name(own: Dynamics, found: Sequence[Dynamics]) -> str:
    """The region, and what tells its scores from others of the same region."""
    region = str(own.key["region"])
    alike = [other.key for other in found if other.key["region"] == own.key["region"]]
    apart = [name for name in PANEL_KEYS if len({str(key.get(name)) for key in alike}) > 1]
    return ", ".join([region, *(str(own.key[name]) for name in apart if name in own.key)])


def dynamics_row(own: Dynamics, found: Sequence[Dynamics]) -> dict[str, str]:
    """A row of words: the means of untrained networks, first and last epochs, and how often an earlier one is best."""
    trainings, starts = own.trainings, own.starts
    ends = [(float(one["score"].iloc[0]), float(one["score"].iloc[-1])) for one in trainings]
    earlier = sum(one["score"].iloc[:-1].max() > one["score"].iloc[-1] for one in trainings)
    epochs = sorted({len(one) for one in trainings})
    return {
        "region": region_name(own, found),
        "trainings": str(len(trainings)),
        "epochs scored": " to ".join(str(n) for n in dict.fromkeys([epochs[0], epochs[-1]])),
        "untrained": f"{sum(starts.values()) / len(starts):.3f}" if starts else "–",
        "first epoch": f"{sum(first for first, _ in ends) / len(ends):.3f}",
        "last epoch": f"{sum(last for _, last in ends) / len(ends):.3f}",
        "an earlier epoch is best": f"{earlier} of {len(trainings)}",
    }


def layer_sentence(found: Sequence[Dynamics]) -> str:
    """Whether the epochs of a training are scored from one layer, in words; empty where no layer is known."""
    known = [one for own in found for one in own.trainings if (one["layer"] != "").all()]
    moved = sum(one["layer"].nunique() > 1 for one in known)
    if not known:
        return ""
    if not moved:
        return "All epochs of a training are scored from the same layers."
    return (
        f"In {moved} of {len(known)} curves the layer differs between epochs: there a change of score is also one of "
        "the layer."
    )


def _drawings(found: Sequence[Dynamics]) -> Iterator[Drawing]:
    """Scores against images seen; and against epochs, where these are not the same for all trainings."""
    shown = sorted(found, key=lambda own: -own.rows["trajectory"].nunique())[:MOST_PANELS]
    shown = [own for own in found if own in shown]
    rest = f"{len(found) - len(shown)} more regions are in the table alone." if len(shown) < len(found) else ""
    has_start = any(own.untrained for own in shown)
    for name, x, against in (
        ("dynamics-images", IMAGES, "images seen in training"),
        ("dynamics-epochs", EPOCH, "the epoch"),
    ):
        if x == IMAGES or _images_of_epochs_differ(shown):
            caption = sentences(
                f"Score against {against}, by region. A line is a training, its colour the family of its network; the "
                "marker is its last epoch.",
                "Dotted lines begin, at 0, with the untrained network of the same architecture (mean of seeds)."
                if has_start
                else "",
                "Scores are means over subjects, at the largest number of mapping images.",
                rest,
            )
            title = f"Scores during training, against {against}"
            yield Drawing(name, title, caption, LIMITS, partial(draw_dynamics, shown, x))


def _images_of_epochs_differ(found: Sequence[Dynamics]) -> bool:
    """Whether an epoch is not as many images in all trainings."""
    ends = [one.iloc[-1] for own in found for one in own.trainings]
    return len({round(float(end[IMAGES]) / float(end[EPOCH])) for end in ends}) > 1


def draw_dynamics(found: Sequence[Dynamics], x: str) -> Figure:
    """A panel for each region: a line for each training along the column x, from its untrained network."""
    across = min(ACROSS if len(found) != 4 else 2, len(found))
    families = looks([family for own in found for family in own.rows["arch_family"]])
    figure, axes = panels(-(-len(found) // across), across, panel=PANEL, foot=0.2 * (2 + len(families) // 4))
    edge = EDGE * min(float(own.rows[x].min()) for own in found)
    for place, (ax, own) in enumerate(zip(axes, found, strict=False)):
        is_low = place + across >= len(found)
        scale = own.key.get("scale")
        y = f"{axis_label('score')} ({scale})" if scale else axis_label("score")
        label(ax, region_name(own, found), axis_label(x) if is_low else "", y, log=True)
        _lines(ax, own, x, edge)
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    handles = look_handles({family: look for family, look in families.items() if family})
    if any(own.untrained for own in found):
        handles.append(line_handle("from the untrained network", MUTED, UNTRAINED_DASH, 1.0))
    if handles:
        legend(figure, handles)
    return figure


def _lines(ax: Axes, own: Dynamics, x: str, edge: float) -> None:
    trainings, families, starts = own.trainings, looks(list(own.rows["arch_family"])), own.starts
    faint: Style = {"rasterized": len(trainings) > MANY_LINES, "linewidth": 0.8}
    for one in trainings:
        look = families[one["arch_family"].iloc[0]]
        at, scores, start = one[x].to_numpy(float), one["score"].to_numpy(float), starts.get(one["trajectory"].iloc[0])
        ax.plot(at, scores, color=look.color, alpha=0.5, zorder=2, **faint)
        ax.plot(
            at[-1:], scores[-1:], color=look.color, marker=look.marker, markersize=3.5, alpha=0.9, zorder=3, **faint
        )
        if start is not None:
            ax.plot([edge, at[0]], [start, scores[0]], color=look.color, alpha=0.5, linestyle=UNTRAINED_DASH, **faint)
    if starts:
        ax.axvline(edge, color=MUTED, linewidth=0.6, zorder=1)
        style: Style = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        ax.annotate("0", (edge, 0), (0, -3.5), ha="center", va="top", color=MUTED, **style)
