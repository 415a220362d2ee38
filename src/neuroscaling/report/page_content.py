"""The page shows laws as rows of words and numbers, tables as lists, limits as sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import number_of, percent
from neuroscaling.core.score_scales import LOSS, NO_CORRELATION, SCALE_SEPARATOR, reason_category
from neuroscaling.core.score_table import VALIDATION
from neuroscaling.laws.finished_law import FinishedLaw, laws_among
from neuroscaling.laws.fit_record import ComparedForm, FitRecord, Holdout
from neuroscaling.laws.number_words import largest, tells, with_interval
from neuroscaling.report.law_figures import FAMILY, panel_of, shared_value
from neuroscaling.report.style import axis_label, form_look

if TYPE_CHECKING:
    import pandas as pd


SCORE_COLUMNS = [
    "run", "region", "subject", "score", "raw", "ceiling", "error", "benchmark", "metric", "test_set", "n_mapping",
    "n_targets", "layer", "arch_family", "kind", "samples_per_class", "seed", "data", "scale", "reason",
]  # fmt: skip
RUN_COLUMNS = [
    "run", "kind", "arch", "family", "acc", "n_params", "n_samples", "total_flops", "dataset", "samples_per_class",
    "seed", "n_epochs", "n_samples_seen", "macs", "seconds", "problem",
]  # fmt: skip
SOURCE_COLUMNS = ["data", "benchmark", "metric", "protocol", "engine", "scale", "simulated"]
COLUMNS = list(dict.fromkeys([*SCORE_COLUMNS, *SOURCE_COLUMNS]))
"""Columns of the score table that the page shows or counts."""
COLUMN_TITLES = {
    "run": "network",
    "arch": "architecture",
    "arch_family": "family",
    "dataset": "data set",
    "samples_per_class": "images per class",
    "n_params": "parameters",
    "n_samples": "training images",
    "n_epochs": "epochs",
    "n_samples_seen": "images seen",
    "macs": "MACs per image",
    "flops": "FLOPs per image",
    "total_flops": "training FLOPs",
    "acc": "accuracy",
    "n_mapping": "mapping images",
    "n_targets": "neuroids",
    "raw": "correlation r",
}
"""What tables call the columns whose names are no words."""
MOST_ROWS = 20_000


def groups(fits: list[FitRecord]) -> dict[str, list[FitRecord]]:
    """Fits by the entry of the configuration that they come from, in the order given."""
    found: dict[str, list[FitRecord]] = {}
    for fit in fits:
        found.setdefault(fit.fit, []).append(fit)
    return found


def group_title(fits: list[FitRecord], column: str) -> str:
    """The title of a group of fits, which are drawn against `column`: their own, or one made of words, such as
    `Score of V4 against training images, ResNet`.
    """
    return fits[0].title or default_title(fits, column)


def default_title(fits: list[FitRecord], column: str) -> str:
    """What a group of fits shows, in words: the quantity, the region and the family that all of them share, and x."""
    against = axis_label(column).lower().replace("flops", "FLOPs")
    region, family = (shared_value(fits, key) for key in ("region", FAMILY))
    of = f" of {region}" if region else ""
    return f"{axis_label(fits[0].quantity)}{of} against {against}" + (f", {family}" if family else "")


def common_filters(fits: list[FitRecord]) -> str:
    """Which rows of the score table all fits of a group use, in words."""
    shared = {k: v for k, v in fits[0].filters.items() if all(fit.filters.get(k) == v for fit in fits)}
    return "; ".join(f"{column} {_condition(value)}" for column, value in shared.items()) or "all"


def scales(fits: list[FitRecord]) -> str:
    """The scales that a group of fits has its scores on, in words; empty where the fits don't say."""
    found = list(dict.fromkeys(fit.scale for fit in fits if fit.scale and fit.scale not in (NO_CORRELATION, LOSS)))
    named = [f"mean of {scale}" if SCALE_SEPARATOR in scale else scale for scale in found]
    return "; ".join(named) + (" (panels of one scale share their y axis)" if len(named) > 1 else "")


def _condition(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_condition(limit)}" for key, limit in value.items())
    return str(value)


def law_row(fit: FitRecord) -> dict[str, Any]:
    """A fit as a row: its title, numbers as text, and what must be said about it."""
    row = {
        "title": panel_of(fit).title,
        "name": fit.name,
        "fitted": isinstance(fit, FinishedLaw),
        "dropped": _dropped(fit),
    }
    if not isinstance(fit, FinishedLaw):
        return {**row, "n": len(fit.points), "reason": fit.reason.replace("\n", " ")}
    return {
        **row,
        "n": fit.n,
        "params": [_parameter(fit, name) for name in fit.form.names],
        "saturation": _saturation(fit),
        "holdout": _holdout(fit.holdout),
        "notes": fit.notes,
        "compared": [_compared(row) for row in fit.compared],
    }


def _saturation(law: FinishedLaw) -> str:
    """The score for infinite x; words where the data don't tell."""
    if law.saturation_statement:
        return law.saturation_statement
    return with_interval(law.saturation, law.saturation_ci95 if law.bootstraps.n else None)


def _parameter(law: FinishedLaw, name: str) -> dict[str, Any]:
    flag, value = law.flags[name], law.params[name]
    most = largest(next(parameter.unit for parameter in law.form.parameters if parameter.name == name))
    # Where the data don't tell a parameter, a number that is far from all data is none.
    shown = flag.identified or tells(value, most)
    return {
        "name": name,
        "text": with_interval(value, law.ci95[name] if law.bootstraps.n else None, most) if shown else "",
        "meaning": law.meanings[name],
        "identified": flag.identified,
        "reasons": "; ".join(flag.reasons),
    }


def _compared(row: ComparedForm) -> dict[str, Any]:
    return {
        "form": f"{form_look(row.form).words}: {row.expression}" if row.expression else form_look(row.form).words,
        "delta_aicc": (row.reason or "not defined") if row.delta_aicc is None else f"{row.delta_aicc:.1f}",
        "holdout": _holdout(row.holdout),
    }


def _holdout(holdout: Holdout | None) -> str:
    if holdout is None or holdout.mae is None:
        return "not testable"
    n = holdout.n_held_out
    return f"{holdout.mae:.3f} ({n} point{'s' if n != 1 else ''})"


def _dropped(fit: FitRecord) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in fit.dropped.items())


def frame_data(table: pd.DataFrame, columns: list[str]) -> dict[str, Any]:
    """The same of a table of pandas, of which the rows that are shown alone become Python's."""
    used = [column for column in columns if column in table and table[column].notna().any()]
    shown = [[plain(value) for value in row] for row in table[used].head(MOST_ROWS).itertuples(index=False)]
    return {"columns": used, "rows": shown, "total": len(table)}


def packed(table: dict[str, Any]) -> dict[str, Any]:
    """A table of `frame_data` with each text of a column once: `words` by column, and in the rows the places of them.

    The page unpacks it when it is opened (templates/selection.js).
    """
    words: dict[str, list[str]] = {}
    columns = [list(column) for column in zip(*table["rows"], strict=True)]
    for i, (name, column) in enumerate(zip(table["columns"], columns, strict=False)):
        texts = list(dict.fromkeys(cell for cell in column if isinstance(cell, str)))
        if texts and all(cell is None or isinstance(cell, str) for cell in column):
            place = {text: j for j, text in enumerate(texts)}
            words[name], columns[i] = texts, [None if cell is None else place[cell] for cell in column]
    return {**table, "words": words, "rows": list(zip(*columns, strict=True))}


def about(table: pd.DataFrame) -> str:
    """What the numbers of a study are, in a sentence."""
    if len(table) and (table["benchmark"] == VALIDATION).fillna(False).all():
        what = (
            "How well each network names images that it was not trained on, and how that accuracy grows with training "
        )
        return what + "images, parameters or compute."
    if len(table) and (table["scale"] == LOSS).fillna(False).all():
        return "The loss of each model of a table, and how it falls with data, parameters or compute."
    what = "How well each network predicts recordings of the brain or behaviour, and how that alignment grows with "
    return what + "training images, parameters, compute, or the images that fit the mapping."


def table_data(rows: Iterable[dict[str, Any]], columns: list[str]) -> dict[str, Any]:
    """Columns and rows for the page's tables, missing values as null, without columns that are empty everywhere."""
    cells = [[plain(row.get(column)) for column in columns] for row in rows]
    used = [i for i in range(len(columns)) if any(row[i] is not None for row in cells)]
    shown = [[row[i] for i in used] for row in cells[:MOST_ROWS]]
    return {"columns": [columns[i] for i in used], "rows": shown, "total": len(cells)}


def rounded(value: float, digits: int) -> float | None:
    """A number with so many significant digits; None for one that isn't finite, which JSON doesn't know."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def plain(value: Any) -> Any:
    """A cell as JSON knows it: numbers with five digits, missing values as None."""
    if value is None or str(value) == "<NA>" or value != value:  # pandas.NA has no truth value
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.5g}")
    return value


def limits(table: pd.DataFrame, fits: list[FitRecord]) -> list[str]:
    """What a reader must not conclude, as far as the data of the report show it."""
    sentences = []
    if table["simulated"].any():
        share = table["simulated"].mean()
        sentences.append(
            f"{percent(share)} of the scores are of SIMULATED recordings: they test the pipeline, not a brain."
        )
    empty = int(table["score"].isna().sum())
    if empty:
        missing = f"{empty} of {number_of(len(table), 'score')} {'is' if empty == 1 else 'are'} missing"
        sentences.append(f"{missing}; fits leave {'it' if empty == 1 else 'them'} out and say so{_why(table)}.")
    untestable = [fit.name for fit in fits if not isinstance(fit, FinishedLaw)]
    if untestable:
        verb = "is" if len(untestable) == 1 else "are"
        sentences.append(f"{len(untestable)} of {number_of(len(fits), 'law')} {verb} not testable with these data.")
    unsaturated = [law.name for law in laws_among(fits) if any("no saturation" in note for note in law.notes)]
    if unsaturated:
        show, finding = "show", "their asymptotes are no findings"
        if len(unsaturated) == 1:
            show, finding = "shows", "its asymptote is no finding"
        ratio = f"{len(unsaturated)} of {number_of(len(fits), 'law')}"
        sentences.append(f"{ratio} {show} no saturation within the data; {finding}.")
    return sentences + STANDING_LIMITS


def _why(table: pd.DataFrame) -> str:
    """The reasons of missing scores, each with its number."""
    if "reason" not in table:
        return ""
    counts = Counter(map(reason_category, table["reason"].dropna()))
    return ": " + "; ".join(f"{count} because {reason}" for reason, count in counts.most_common()) if counts else ""


STANDING_LIMITS = [
    "Intervals are percentiles of bootstraps over the points (or over clusters, where the fit names them). They do not "
    "hold the choice of the law, of layers, or of benchmarks.",
    "Exponents of two laws with different asymptotes are not comparable; compare the curves.",
    "Curves are drawn over the range of the data; a law says nothing certain beyond it. The held-out error tells how "
    "well the law predicts its largest x from the rest.",
    "Forms are compared by AICc under one loss: Laplace noise for the Huber loss, normal noise for squares. Only "
    "differences count.",
]


def sources(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Data, benchmark, protocol and engine of the scores, with the number of rows of each."""
    counts = table.groupby(SOURCE_COLUMNS, dropna=False).size().reset_index(name="scores")
    return [{key: plain(value) for key, value in row.items()} for row in counts.to_dict("records")]
