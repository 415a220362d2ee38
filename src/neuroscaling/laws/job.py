"""One fit of a study: from the score table to the files that the report reads."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.files import atomic_path, write_json
from neuroscaling.laws import compare
from neuroscaling.laws.fit import LawFit, finite, fit
from neuroscaling.laws.inputs import NotTestable
from neuroscaling.laws.select import Selection, select
from neuroscaling.provenance import provenance

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "fit/1"
PACKAGES = ("numpy", "pandas", "lmfit")
logger = logging.getLogger(__name__)


def fit_table(table: pd.DataFrame, settings: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit what `settings` (of a FitJob) select: the content of the fit's JSON file, and its bootstraps.

    Where the data are too few for the law, the content has the status "not testable" and the reason; the bootstraps are
    then empty. Raises DataError for data that no law can describe (see `laws.inputs`) and for unknown columns.
    """
    import pandas as pd

    start = time.perf_counter()
    common = {"format": FORMAT, **{key: settings[key] for key in ("name", "x", "y", "filters", "mode", "group_by")}}
    common |= {"fit": settings.get("fit", settings["name"]), "form": settings["forms"][0]}
    try:
        selection = select(table, settings)
        common |= _about(selection)
        law = _fit(selection.points, selection.clusters, settings, settings["forms"][0], settings["bootstraps"])
        result = {"status": "fitted", **law.to_dict(), **_comparison(selection, settings, law)}
        result["least_squares"] = _least_squares(law)
        bootstraps = _bootstraps(law)
    except NotTestable as error:
        logger.warning("%s is not testable: %s", settings["name"], error)
        result, bootstraps = {"status": "not testable", "reason": str(error)}, pd.DataFrame({"loss": []}, dtype=float)
    record = provenance(PACKAGES, time.perf_counter() - start, settings=settings)
    return finite({**common, **result, "provenance": record}), bootstraps


def write_fit(
    table_path: str | Path, settings: dict[str, Any], fit_path: str | Path, bootstraps_path: str | Path
) -> None:
    """Fit what `settings` select from the table at `table_path`; write the JSON file and the bootstraps (parquet)."""
    from neuroscaling.table import read_table

    content, bootstraps = fit_table(read_table(table_path), settings)
    with atomic_path(bootstraps_path) as temporary:
        bootstraps.to_parquet(temporary, index=False)
    write_json(fit_path, content)


def _about(selection: Selection) -> dict[str, Any]:
    """What the fit file says of its data; the points go with it so that a figure needs nothing else."""
    columns = [
        c for c in ("arch", "arch_family", "samples_per_class", "seed", "n_params", "run") if c in selection.points
    ]
    points = {"x": selection.points["x"].tolist(), "y": selection.points["y"].tolist()}
    points |= {c: [_plain(v) for v in selection.points[c]] for c in columns}
    return {
        "simulated": selection.simulated,
        "data": selection.data,
        "n_rows": selection.rows,
        "dropped": selection.dropped,
        "points": points,
    }


def _plain(value: Any) -> Any:
    """A cell of a table as JSON knows it."""
    if value is None or value != value:
        return None
    return value.item() if isinstance(value, np.generic) else value


def _fit(
    points: pd.DataFrame, clusters: list[str] | None, settings: dict[str, Any], form: str, bootstraps: int
) -> LawFit:
    first = form == settings["forms"][0]
    return fit(
        points["x"].to_numpy(dtype=float),
        points["y"].to_numpy(dtype=float),
        form=form,
        x_scale=settings["x_scale"],
        loss=settings["loss"] if first else None,
        bootstraps=bootstraps,
        clusters=clusters,
        seed=settings["seed"],
        mode=settings["mode"],
    )


def _comparison(selection: Selection, settings: dict[str, Any], law: LawFit) -> dict[str, Any]:
    """Held-out error of the law, and the rows of the comparison where several forms are given."""
    rows = []
    for form in settings["forms"]:
        try:
            other = law if form == law.form.name else _fit(selection.points, None, settings, form, 0)
            rows.append(
                {
                    "form": form,
                    "expression": other.form.expression,
                    "params": other.params,
                    "aicc": other.aicc(),
                    "holdout": _holdout(selection, settings, form),
                    "curve": {key: other.curve()[key] for key in ("x", "fit")},
                }
            )
        except NotTestable as error:
            logger.warning("%s: %s is not testable: %s", settings["name"], form, error)
            rows.append({"form": form, "aicc": None, "holdout": None, "reason": str(error)})
    return {"holdout": rows[0]["holdout"], "compared": compare.ranked(rows) if len(rows) > 1 else []}


def _holdout(selection: Selection, settings: dict[str, Any], form: str) -> dict[str, Any]:
    """Error on the points with the largest x of the form fitted to the others."""
    points = selection.points
    out = compare.held_out(points["x"].to_numpy(dtype=float), settings["holdout"], selection.clusters)
    facts = {"rule": settings["holdout"], "n_fitted": int((~out).sum()), "n_held_out": int(out.sum())}
    try:
        law = _fit(points[~out], None, settings, form, 0)
    except NotTestable as error:
        return {**facts, "reason": str(error)}
    return {**facts, **compare.errors(points["y"][out].to_numpy(dtype=float), law.predict(points["x"][out]))}


def _least_squares(law: LawFit) -> dict[str, Any]:
    """lmfit's least-squares fit of the same form to the scores: a check, and its report as text."""
    try:
        result = law.least_squares()
    except ValueError as error:  # lmfit's word for a model that is not finite at some step
        return {"params": None, "report": f"no least-squares fit: {error}"}
    return {"params": {name: float(p.value) for name, p in result.params.items()}, "report": result.fit_report()}


def _bootstraps(law: LawFit) -> pd.DataFrame:
    """One row a resample: natural parameters and the loss; infinite ones are kept as they are."""
    import pandas as pd

    natural = law.form.natural(law.resampled, law.x_scale / law.centre)
    return pd.DataFrame(natural, columns=law.form.names).assign(loss=law.resampled_loss)
