"""The part of the page that says what benchmarks can tell, and how lucky layers were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.laws.benchmark_file import BenchmarkFile
from neuroscaling.laws.benchmark_resolution import BenchmarkResolution
from neuroscaling.laws.decision_accuracy import Agreement
from neuroscaling.report.figure import Drawing, label, panels, write_figure
from neuroscaling.report.sections import Section, render, with_pictures
from neuroscaling.report.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SHOWN_DIFFERENCE = 0.02
"""Between two networks, for which the needed seeds are shown."""
SHOWN_SEEDS = (1, 3)
SHOWN_RUNS = 100
ANCHOR = "resolution"
NAME, TITLE = "spread-and-decisions", "Spread between networks, and decisions"
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK)
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PREDICTIONS = {
    "in_advance": "scores below the largest scale",
    "other_networks": "networks of other groups",
    "signal_to_noise": "ratio of signal to noise alone",
}


def resolution_rows(content: BenchmarkFile) -> list[dict[str, str]]:
    """A row of words for each benchmark and number of mapping images."""
    return [_resolution_row(content, place, own) for place, own in enumerate(content.resolutions)]


def _resolution_row(content: BenchmarkFile, place: int, own: BenchmarkResolution) -> dict[str, str]:
    error = content.error_of(place)
    at = error.of_runs.index(SHOWN_RUNS) if error and SHOWN_RUNS in error.of_runs else None
    needed = own.seeds_for(SHOWN_DIFFERENCE)
    return {
        "benchmark": own.benchmark,
        "mapping images": _number(own.key.get("n_mapping"), ".0f"),
        "networks": f"{own.networks} x {own.seeds:.1f} seeds",
        "spread": _number(own.spread),
        "seeds": _number(own.noise),
        "spread / seeds": _number(own.spread_over_seeds, ".1f"),
        "own error": _number(own.error),
        "spread / own error": _number(own.spread_over_error, ".1f"),
        "late checkpoints": _number(own.late_noise),
        "about a line": _number(own.late_about_line),
        "spread / late": _number(own.spread_over_late, ".1f"),
        **{f"seen with {n} seed{'s' * (n > 1)}": _number(own.smallest_difference(n)) for n in SHOWN_SEEDS},
        f"seeds to see {SHOWN_DIFFERENCE:g}": "–" if needed is None else str(needed),
        f"error of asymptote, {SHOWN_RUNS} runs": _number(error.of_asymptote[at] if error and at is not None else None),
    }


def decision_rows(content: BenchmarkFile) -> list[dict[str, str]]:
    """A row of words for each benchmark and scale: pairs ranked as at the largest scale, seen and predicted."""
    return [
        {
            "benchmark": own.benchmark,
            "images of a class": decision.scale,
            "pairs": str(decision.pairs),
            "seen": _number(decision.seen, ".2f"),
            "predicted in advance": _number(decision.in_advance, ".2f"),
            "predicted from other networks": _number(decision.other_networks, ".2f"),
            "signal / noise": _number(decision.signal_to_noise, ".1f"),
        }
        for own in content.resolutions
        for decision in own.decisions
    ]


def luck_rows(content: BenchmarkFile) -> list[dict[str, str]]:
    """A row of words for each benchmark and scale: the run that layers were chosen on less other seeds."""
    return [
        {
            "benchmark": luck.benchmark,
            "images of a class": luck.scale,
            "layers": "chosen here" if luck.chosen else "control",
            "difference": f"{luck.difference:+.4f}",
            "standard error": _number(luck.error),
            "networks": f"{luck.networks}, {luck.above} higher",
        }
        for luck in content.luck
    ]


def agreement_sentences(found: Sequence[Agreement]) -> list[str]:
    """How predicted decision accuracies agree with those seen, in words."""
    return [
        f"Predicted from {PREDICTIONS[one.prediction]}: r = {one.r:.2f} with what is seen, over {one.cells} benchmarks "
        "and scales" + (f"; the mean difference is {one.mean_error:.3f}." if one.mean_error is not None else ".")
        for one in found
        if one.r is not None
    ]


def _number(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else format(value, form)


def benchmark_section(content: BenchmarkFile, folder: Path) -> Section | None:
    """The section, its figure written to `folder`; None where no benchmark has two networks."""
    if not content.resolutions:
        return None
    simulated = any(own.simulated for own in content.resolutions)
    figure = write_figure(folder, _drawing(content), simulated=simulated) if _drawn(content) else None
    values: dict[str, Any] = {
        "figure": figure,
        "folder": folder.name,
        "resolutions": _used(resolution_rows(content)),
        "decisions": _used(decision_rows(content)),
        "agreements": agreement_sentences(content.agreements),
        "luck": _used(luck_rows(content)),
        "simulated": simulated,
    }
    return Section(with_pictures(render("benchmarks.html", **values), folder.parent), [(ANCHOR, "Benchmarks")])


def _used(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """`rows` without columns that are empty everywhere."""
    return [{name: row[name] for name in row if any(other[name] != "–" for other in rows)} for row in rows]


def _drawn(content: BenchmarkFile) -> list[BenchmarkResolution]:
    """The benchmarks that have something to draw."""
    return [own for own in content.resolutions if own.noise or own.error or own.decisions]


def _drawing(content: BenchmarkFile) -> Drawing:
    caption = (
        "Spread between networks over the spread between seeds (filled) and over the scores' own error (open); "
        "where it is 1, chance makes as much of a difference as the network."
    )
    if any(own.decisions for own in content.resolutions):
        caption += (
            " Right, in the same colours: share of pairs of networks that few images rank as the largest number does, "
            "predicted in advance (filled) and from other networks (open), against the share that is seen."
        )
    limits = "Networks differ in more than their architecture; seeds do not tell the noise of other images or neurons."
    return Drawing(NAME, TITLE, caption, limits, lambda: draw_benchmarks(_drawn(content)))


def draw_benchmarks(found: Sequence[BenchmarkResolution]) -> Figure:
    """Ratios of spread and noise, and predicted against seen decision accuracy where there are decisions."""
    count = 2 if any(own.decisions for own in found) else 1
    width = 2.6 + 0.06 * max(map(len, _short_names(found)), default=0)
    figure, axes = panels(1, count, panel=(width, max(2.4, 0.26 * len(found) + 1.0)))
    looks = [{"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]} for i in range(len(found))]
    _draw_ratios(axes[0], found, looks)
    if count == 2:
        _draw_decisions(axes[1], found, looks)
    return figure


def _draw_ratios(ax: Axes, found: Sequence[BenchmarkResolution], looks: Sequence[dict[str, Any]]) -> None:
    for place, (own, look) in enumerate(zip(found, looks, strict=True)):
        if own.spread_over_seeds:
            ax.scatter(own.spread_over_seeds, place, s=32, zorder=3, **look)
        if own.spread_over_error:
            ax.scatter(own.spread_over_error, place, s=32, zorder=3, facecolors="none", edgecolors=look["color"],
                       marker=look["marker"])  # fmt: skip
    ax.axvline(1.0, color=MUTED, linewidth=0.8, linestyle="--")
    ax.set_yticks(range(len(found)), _short_names(found))
    ax.set_ylim(len(found) - 0.5, -0.5)
    label(ax, "Spread between networks", "times the noise", "", log=True)
    ends = ax.get_xlim()
    ax.set_xticks([tick for tick in TICKS if ends[0] <= tick <= ends[1]], minor=False)
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter("{x:g}")


def _draw_decisions(ax: Axes, found: Sequence[BenchmarkResolution], looks: Sequence[dict[str, Any]]) -> None:
    for own, look in zip(found, looks, strict=True):
        _decisions(ax, own, look)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
    seen = [decision.seen for own in found for decision in own.decisions]
    low = min([0.4, *seen, *_predicted(found)]) - 0.05
    ax.set_xlim(low, 1.0)
    ax.set_ylim(low, 1.0)
    label(ax, "Pairs ranked alike", "Predicted share", "Seen share")


def _short_names(found: Sequence[BenchmarkResolution]) -> list[str]:
    """Region and number of mapping images; the benchmark in place of the region where two would be called the same."""
    short = [_named(own, str(own.key.get("region") or own.benchmark)) for own in found]
    whole = [_named(own, own.benchmark) for own in found]
    return [long if short.count(name) > 1 else name for name, long in zip(short, whole, strict=True)]


def _named(own: BenchmarkResolution, place: str) -> str:
    images = own.key.get("n_mapping")
    return f"{place}, {images:.0f} images" if images else place


def _predicted(found: Sequence[BenchmarkResolution]) -> list[float]:
    both = [(decision.in_advance, decision.other_networks) for own in found for decision in own.decisions]
    return [value for pair in both for value in pair if value is not None]


def _decisions(ax: Axes, own: BenchmarkResolution, look: dict[str, Any]) -> None:
    for decision in own.decisions:
        if decision.in_advance is not None:
            ax.scatter(decision.in_advance, decision.seen, s=18, zorder=3, **look)
        if decision.other_networks is not None:
            ax.scatter(decision.other_networks, decision.seen, s=18, zorder=2, facecolors="none",
                       edgecolors=look["color"], marker=look["marker"], linewidths=0.8)  # fmt: skip


def markdown(rows: list[dict[str, str]]) -> str:
    """Rows as a table of Markdown."""
    rows = _used(rows)
    head = list(rows[0]) if rows else []
    lines = [head, ["---"] * len(head), *([row[name] for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines if line)


def page(content: BenchmarkFile, title: str) -> str:
    """A page of Markdown with all tables."""
    simulated = any(own.simulated for own in content.resolutions)
    parts = [
        f"# {title}",
        'Made by `neuroscaling resolution TABLE --page FILE`; [laws.md](laws.md) explains the words, under "What a\n'
        'benchmark can tell" and "The luck of layers".',
        "All or some scores are of SIMULATED recordings: nothing here is a finding about a brain." if simulated else "",
        "## Spread between networks, and noise",
        markdown(resolution_rows(content)) or "No benchmark has two trained networks.",
        "## Decision accuracy" if content.agreements else "",
        "Pairs of networks that few training images of a class rank as all of them do.",
        "\n".join(f"- {sentence}" for sentence in agreement_sentences(content.agreements)),
        markdown(decision_rows(content)),
        "## The luck of layers" if content.luck else "",
        markdown(luck_rows(content)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
