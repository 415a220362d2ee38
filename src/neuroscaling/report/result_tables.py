"""A study's results as rows: a law each, or a network each with a column for each region, session or metric.

Documents take their tables from here (`neuroscaling results`), so that they show what the studies' files hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.score_table import VALIDATION
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import ComparedForm, FitRecord
from neuroscaling.laws.quantities import is_rate
from neuroscaling.report.page_content import law_row

if TYPE_CHECKING:
    import pandas as pd

VALUES = ("score", "raw", "ceiling", "acc")
"""Columns of the score table that a table of networks can show."""
COLUMNS = ("region", "subject", "metric", "benchmark")
"""Columns of the score table whose values can be the columns of a table of networks."""
OF_NETWORK = ("arch", "kind", "dataset", "samples_per_class")
DETAILS = {
    "recipe": "", "objective": "", "is_ssl": "self-supervised", "ssl_method": "", "is_adv": "adversarial",
    "adv_method": "", "n_epochs": "epochs", "run": "",
}  # fmt: skip
"""What else tells networks apart, and how it is said where a network comes in several ways. Seeds are averaged."""
ACCURACY = "acc"
NOT_AVERAGED = ("data", "benchmark", "region", "metric", "test_set", "protocol")
KINDS = ("baseline", "untrained", "trained", "pretrained")
"""In which order networks stand; others come last."""
NOTHING = "–"
SIMULATED = "SIMULATED"
PER_DECADE = "score per decade"
"""Unit of a slope over log x."""


def law_rows(fits: Sequence[FitRecord]) -> list[dict[str, Any]]:
    """A row of words for each fit: its points, loss, asymptote, rates, and its forms' errors beyond the fit."""
    return [_law_row(fit) for fit in fits]


def _law_row(fit: FitRecord) -> dict[str, Any]:
    words = law_row(fit)
    if not isinstance(fit, FinishedLaw):
        empty = dict.fromkeys(("loss", "asymptote", "rate", "error beyond", "other forms"), NOTHING)
        return {"fit": fit.name, "form": NOTHING, "points": words["n"], **empty, "notes": words["reason"]}
    return {
        "fit": fit.name,
        "form": fit.form_name,
        "points": fit.n,
        "loss": NOTHING if fit.loss_value is None else f"{fit.loss_value:.6g}",
        "asymptote": words["saturation"] if fit.form.asymptote else "none in this form",
        "rate": _rates(fit, words["params"]),
        "error beyond": words["holdout"],
        "other forms": _others(fit),
        "notes": SIMULATED if fit.simulated else "",
    }


def _rates(law: FinishedLaw, parameters: Sequence[Mapping[str, Any]]) -> str:
    """The exponents, or what else tells how fast the law rises, with their intervals."""
    texts = {one["name"]: one["text"] if one["identified"] else "not identified" for one in parameters}
    rates = [one for one in law.form.parameters if is_rate(one)]
    told = [
        (f"{one.name} " if len(rates) > 1 else "")
        + texts[one.name]
        + (" a decade" if one.unit == PER_DECADE and law.identifies(one.name) else "")
        for one in rates
    ]
    return "; ".join(told) or NOTHING


def _others(law: FinishedLaw) -> str:
    """The other forms that were compared: their AICc less that of the law's form, their error on held-out points."""
    own = next((one.delta_aicc for one in law.compared if one.form == law.form_name), None)
    return "; ".join(_other(one, own) for one in law.compared if one.form != law.form_name) or NOTHING


def _other(form: ComparedForm, own: float | None) -> str:
    known = None not in (own, form.delta_aicc)
    told = [f"AICc {round(form.delta_aicc - own, 1) + 0.0:+.1f}"] if known else []  # type: ignore[operator]
    told += [] if form.held_out_error is None else [f"error {form.held_out_error:.3f}"]
    return f"{form.form}: {', '.join(told) or form.reason or NOTHING}"


def score_rows(
    table: pd.DataFrame, columns: str = "region", value: str = "score", where: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Any]]:
    """A row for each network, with a column for each value of `columns`, and their mean where they share a scale.

    Of each subject or session the rows with the most mapping images count. Numbers are means over seeds, subjects and
    sessions; a table that mixes anything else is refused.

    Args:
        table: a score table.
        columns: one of `COLUMNS`.
        value: one of `VALUES`; `score` is on the scale of its benchmark, `raw` the correlation.
        where: for each column of the table, the values that its rows have.

    Raises:
        DataError: for a column or a value that the table does not have, and for rows that are no one quantity.
    """
    rows = _chosen(table, where or {})
    if not (where or {}).get("benchmark"):
        rows = rows[rows["benchmark"] != VALIDATION] if (rows["benchmark"] != VALIDATION).any() else rows
    rows = _with_most_images(rows[rows[value].notna()])
    if rows.empty:
        raise DataError(Problem(what="no row has a number", where=f"column {value}", allowed=listing(list(VALUES))))
    if value == ACCURACY:  # of a network, whatever was scored of it
        rows = rows.drop_duplicates("run").assign(**{columns: "accuracy"})
    else:
        _check_one_quantity(rows, columns, value)
    by = [name for name in (*OF_NETWORK, *DETAILS) if name in rows and name != "run"]
    if (rows.groupby([*by, "seed"], dropna=False, observed=True)["run"].nunique() > 1).any():
        by.append("run")  # what tells them apart has no column
    keys = {name: rows[name].astype("object").where(rows[name].notna(), "") for name in by}
    cells = rows.assign(**keys, **{columns: rows[columns].astype(str)})
    # The mean of each seed, then over seeds: these count alike, however many subjects each has.
    of_seeds = cells.groupby([*by, "seed", columns], dropna=False, observed=True)[value].mean()
    wide = of_seeds.groupby([*by, columns], dropna=False, observed=True).mean().unstack(columns)
    wide = wide[list(dict.fromkeys(cells[columns]))]
    seeds = cells.groupby(by, observed=True)["seed"].nunique().reindex(wide.index)
    networks = [dict(zip(by, key, strict=True)) for key in wide.index]
    told = _varying(networks)
    alike = ["metric", *(["scale"] if value == "score" else [])]
    one_scale = value == ACCURACY or all(rows[name].nunique(dropna=False) == 1 for name in alike if name in rows)
    simulated = bool(rows["simulated"].any()) if "simulated" in rows else False
    found = [
        (_order(network), _score_row(network, told, numbers, int(n), one_scale))
        for network, (_, numbers), n in zip(networks, wide.iterrows(), seeds, strict=True)
    ]
    ordered = [row for _, row in sorted(found, key=lambda item: item[0])]
    ordered = [row | {"notes": SIMULATED} for row in ordered] if simulated else ordered
    alone = all(row["seeds"] == 1 for row in ordered)
    return [{key: cell for key, cell in row.items() if key != "seeds"} for row in ordered] if alone else ordered


def _varying(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Details in which networks differ that are alike else."""
    known = [name for name in DETAILS if networks and name in networks[0]]
    found = []
    for name in known:
        values: dict[tuple[Any, ...], set[Any]] = {}
        for network in networks:
            values.setdefault(tuple(network.get(key) for key in OF_NETWORK), set()).add(network[name])
        found += [name] if any(len(own) > 1 for own in values.values()) else []
    return found


def _chosen(table: pd.DataFrame, where: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    known = [str(name) for name in table.columns]
    problems = [
        Problem(
            what="no such column", where="--where", value=name, allowed=listing(known), nearest=nearest(name, known)
        )
        for name in where
        if name not in known
    ]
    if problems:
        raise DataError(problems)
    for name, wanted in where.items():
        values = table[name].map(str)
        found = sorted(set(values))
        absent = [one for one in wanted if one not in found]
        if absent:
            what, near = "no row has this value", nearest(absent[0], found)
            where_ = f"--where {name}"
            raise DataError(Problem(what=what, where=where_, value=absent[0], allowed=listing(found), nearest=near))
        table = table[values.isin(list(wanted))]
    return table


def _with_most_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each subject, benchmark, metric and region the rows with the most mapping images; all of those without any."""
    if "n_mapping" not in rows or rows["n_mapping"].isna().all():
        return rows
    by = [name for name in ("data", "benchmark", "subject", "metric", "region", "test_set") if name in rows]
    most = rows.groupby(by, dropna=False)["n_mapping"].transform("max")
    return rows[rows["n_mapping"].isna() | (rows["n_mapping"] == most)]


def _check_one_quantity(rows: pd.DataFrame, columns: str, value: str) -> None:
    """Raise DataError unless the rows of each column share all but network, seed, subject and session."""
    sessions = (rows["benchmark"].astype(str) == rows["subject"].astype(str)).all() if "subject" in rows else False
    keys = [
        name for name in NOT_AVERAGED if name in rows and name != columns and not (name == "benchmark" and sessions)
    ]
    keys += ["scale"] if value == "score" and "scale" in rows else []
    problems = [
        Problem(
            what=f"numbers of several kinds would be averaged: {name}",
            where=f"column {name}",
            value=listing(sorted(set(rows[name].astype(str)))),
            fix=f"choose one: --where {name}=..." + (", or --value raw" if name == "scale" else ""),
        )
        for name in keys
        if (rows.groupby(rows[columns].astype(str))[name].nunique(dropna=False) > 1).any()
    ]
    if problems:
        raise DataError(problems)


def _order(network: Mapping[str, Any]) -> tuple[Any, ...]:
    kind = network.get("kind")
    images = network.get("samples_per_class") or float("inf")
    place = KINDS.index(kind) if kind in KINDS else len(KINDS)
    details = [network.get(name) for name in DETAILS]
    rest = [(0.0, value) if isinstance(value, str) else (float(value or 0), "") for value in details]
    return place, str(network.get("dataset")), str(network["arch"]), images, *rest


def _score_row(
    network: Mapping[str, Any], told: Sequence[str], numbers: pd.Series, seeds: int, one_scale: bool
) -> dict[str, Any]:
    cells = {str(name): None if number != number else float(number) for name, number in numbers.items()}
    known = [number for number in cells.values() if number is not None]
    mean = {"mean": sum(known) / len(known)} if one_scale and 1 < len(cells) == len(known) else {}
    words = ", ".join([_weights(network), *(word for name in told if (word := _detail(name, network[name])))])
    return {"network": network["arch"], "weights": words, "seeds": seeds} | cells | mean


def _weights(network: Mapping[str, Any]) -> str:
    """Where a network's weights come from, in words."""
    kind, dataset, images = (network.get(key) for key in ("kind", "dataset", "samples_per_class"))
    if kind != "trained" or not dataset:
        return {"baseline": "none"}.get(str(kind), str(kind))
    return f"{dataset}, {int(images)} of each class" if images else f"{dataset}, all"


def _detail(name: str, value: Any) -> str:
    if isinstance(value, bool | str):
        return DETAILS[name] if value is True else "" if value is False else value
    return f"{value:g} {DETAILS[name]}"
