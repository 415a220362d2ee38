"""One fit of a study takes the score table and writes the files that the report reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import listing, number_of
from neuroscaling.core.files import atomic_path, write_json
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_table import FailedRun
from neuroscaling.laws import comparison
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.chain import fit_chain
from neuroscaling.laws.compute_optimal import SCALES, allocation, cost_law
from neuroscaling.laws.finished_law import FORMAT, fit_record
from neuroscaling.laws.fit_record import FITTED, NOT_TESTABLE
from neuroscaling.laws.fitted_curve import BEYOND
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import form_by_name
from neuroscaling.laws.influence import influence_content, influence_of
from neuroscaling.laws.influence_record import influence_path, resamples_path
from neuroscaling.laws.law_fit import LawFit, finite
from neuroscaling.laws.layer_luck import KEEP
from neuroscaling.laws.limited_images import allocation_of_images
from neuroscaling.laws.loss import loss_by_name
from neuroscaling.laws.point_checks import NotTestable
from neuroscaling.laws.points import Selection, select_points
from neuroscaling.laws.row_reading import read_rows

if TYPE_CHECKING:
    import pandas as pd


Array = NDArray[np.float64]
ABOUT = ("name", "fit", "x", "y", "filters", "samples_per_class_of", "mode", "group_by")
POINT_FACTS = (
    "arch", "arch_family", "dataset", "samples_per_class", "seed", "subject", "n_params", "n_samples_seen",
    "total_flops", "run",
)  # fmt: skip
PACKAGES = ("numpy", "pandas", "lmfit")
logger = logging.getLogger(__name__)


def fit_table(
    table: pd.DataFrame, settings: dict[str, Any], failed: Sequence[FailedRun] = ()
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit what `settings` (of a FitJob) select: the content of the fit's JSON file, and its bootstraps.

    failed: runs that have no scores; the content names those that the filters would let pass.

    Where the data are too few for the law, the content has the status "not testable" and the reason; the bootstraps are
    then empty. Raises DataError for data that no law can describe (see `laws.point_checks`) and for unknown columns.
    """
    found = fit_points(table, settings, failed)
    return found.content, found.bootstraps


@dataclass(frozen=True)
class FittedPoints:
    """The content of a fit's file and its bootstraps, and what they were made from.

    laws: that of the fit, then those of other forms that the points allow; selection: the points. None of either where
    the data allow no law.
    """

    content: dict[str, Any]
    bootstraps: pd.DataFrame
    laws: list[LawFit]
    selection: Selection | None


def fit_points(table: pd.DataFrame, settings: dict[str, Any], failed: Sequence[FailedRun] = ()) -> FittedPoints:
    """What `fit_table` gives, with the laws and their points. Raises as it does."""
    import pandas as pd

    start = time.perf_counter()
    laws: list[LawFit] = []
    selection = None
    common = {"format": FORMAT, **{key: settings[key] for key in ABOUT}, "form": settings["forms"][0]}
    try:
        selection = select_points(table, settings, failed)
        common |= _about(selection) | {"chosen_on": settings.get("chosen_on", KEEP)}
        law = _fit(selection, settings, settings["forms"][0], settings["bootstraps"])
        forms = {settings["forms"][0]: law, **_other_forms(selection, settings)}
        result, bootstraps = _fitted(selection, settings, law, forms)
        laws = [one for one in forms.values() if isinstance(one, LawFit)]
        result["notes"] += _about_luck(selection)
    except NotTestable as error:
        logger.warning("%s is not testable: %s", settings["name"], error)
        result, bootstraps = {"status": NOT_TESTABLE, "reason": str(error)}, pd.DataFrame({"loss": []}, dtype=float)
    seconds = time.perf_counter() - start
    record = provenance(PACKAGES, seconds, settings=settings)
    content = finite({**common, **result, "seconds": round(seconds, 3), "provenance": record})
    return FittedPoints(content, bootstraps, laws, selection)


def _fitted(
    selection: Selection, settings: dict[str, Any], law: LawFit, forms: Mapping[str, LawFit | NotTestable]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the fit file says of the law, and the bootstraps."""
    best_sizes, cost = _best_sizes(selection, settings, law)
    result = {"status": FITTED, **law.to_dict(), **_comparison(selection, settings, forms), "allocation": best_sizes}
    report = law.fit_report() + (f"\n[[Note]] {SIMULATED}" if selection.simulated else "")
    return result | {"report": report, "least_squares": _least_squares(law)}, _bootstraps(law, cost)


def write_fit(
    table_path: str | Path,
    settings: dict[str, Any],
    fit_path: str | Path,
    bootstraps_path: str | Path,
    made_from: Mapping[str, str] | None = None,
) -> None:
    """Fit what `settings` select from the table at `table_path`; write the JSON file and the bootstraps (parquet).

    made_from: what the file says that it was made from (`study_fits.StudyFit`). Beside the fit lies what it stands on
    (`influence_path`, `resamples_path`). What is written is read as a record first, so that no file is left that its
    readers refuse.
    """
    table = read_rows(table_path, settings)
    found = fit_points(table.scores, settings, table.failed)
    if made_from:
        found.content["provenance"]["made_from"] = dict(made_from)
    fit_record(found.content, found.bootstraps, str(fit_path))
    stands_on, resamples = influence_of(found.laws, found.selection, settings)
    for frame, path in ((found.bootstraps, bootstraps_path), (resamples, resamples_path(fit_path))):
        with atomic_path(path) as temporary:
            frame.to_parquet(temporary, index=False)
    write_json(influence_path(fit_path), influence_content(stands_on))
    write_json(fit_path, found.content)


def _about(selection: Selection) -> dict[str, Any]:
    """What the fit file says of its data; the points go with it so that a figure needs nothing else."""
    for reason, names in selection.dropped.items():
        logger.warning("left out: %d %s: %s", len(names), reason, listing(names))
    columns = [c for c in POINT_FACTS if c in selection.points]
    points = {"x": selection.x.tolist(), "y": selection.y.tolist()}
    points |= {c: [_plain(v) for v in selection.points[c]] for c in columns}
    return {
        "simulated": selection.simulated,
        "data": selection.data,
        "scale": selection.scale,
        "n_rows": selection.rows,
        "dropped": {reason: len(names) for reason, names in selection.dropped.items()},
        "left_out": selection.dropped,
        "points": points,
    }


def _about_luck(selection: Selection) -> list[str]:
    if not selection.corrected:
        return []
    what = f"the luck of layers is taken off the scores of {len(selection.corrected)} runs"
    return [f"{what}; intervals do not hold the error of this correction"]


def _plain(value: Any) -> Any:
    """A cell of a table as JSON knows it."""
    if value is None or str(value) in ("<NA>", "nan"):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _fit(selection: Selection, settings: dict[str, Any], form: str, bootstraps: int, rows: Any = slice(None)) -> LawFit:
    """The law `form` fitted to the points `rows`; all forms under the loss of the first, so that AICc compares."""
    whole = isinstance(rows, slice)
    return fit(
        x_of(form, selection.x)[rows],
        selection.y[rows],
        form=form,
        x_scale=_x_scale(form, settings["x_scale"]),
        loss=settings["loss"] or form_by_name(settings["forms"][0]).loss,
        y_error=None if selection.y_error is None else selection.y_error[rows],
        invert_y=settings["invert_y"],
        bootstraps=bootstraps,
        # Labels serve the bootstraps and AICc alone, which no fit to a part of the points has.
        clusters=selection.clusters if whole else None,
        hierarchy=selection.hierarchy if whole else None,
        seed=settings["seed"],
        mode=settings["mode"],
    )


def x_of(form: str, x: Array) -> Array:
    """The variables of `form` (n,) or (n, d) among those of the points: of N, U and R, a law of N and D has D = U R."""
    if x.ndim == 1 or x.shape[1] <= form_by_name(form).variables:
        return x
    return np.stack([x[:, 0], x[:, 1:].prod(axis=1)], -1)


def _x_scale(form: str, scale: Any) -> Any:
    fewer = isinstance(scale, list) and len(scale) > form_by_name(form).variables
    return [scale[0], float(np.prod(scale[1:]))] if fewer else scale


def _other_forms(selection: Selection, settings: dict[str, Any]) -> dict[str, LawFit | NotTestable]:
    """The other forms of the comparison, fitted without bootstraps; why one is not testable in its place."""
    found: dict[str, LawFit | NotTestable] = {}
    for form in settings["forms"][1:]:
        try:
            found[form] = _fit(selection, settings, form, 0)
        except NotTestable as error:
            logger.warning("%s: %s is not testable: %s", settings["name"], form, error)
            found[form] = error
    return found


def _comparison(
    selection: Selection, settings: dict[str, Any], forms: Mapping[str, LawFit | NotTestable]
) -> dict[str, Any]:
    """Held-out error of the law, and the rows of the comparison where several forms are given."""
    rows = [_row(selection, settings, form, law) for form, law in forms.items()]
    for column, steps in settings.get("through", {}).items():
        rows.append(_chain_row(selection, settings, column, (steps[0], steps[1])))
    return {"holdout": rows[0]["holdout"], "compared": comparison.ranked_by_aicc(rows) if len(rows) > 1 else []}


def _row(selection: Selection, settings: dict[str, Any], form: str, law: LawFit | NotTestable) -> dict[str, Any]:
    if isinstance(law, NotTestable):
        return {"form": form, "aicc": None, "holdout": None, "reason": str(law)}
    return {
        "form": form,
        "expression": law.expression,
        "params": law.params,
        "loss": law.loss_value,
        "aicc": law.aicc(),
        "holdout": _holdout(selection, settings, form),
        "curve": _line(law.curve()),
        "beyond": _line(law.beyond()),
    }


def _chain_row(selection: Selection, settings: dict[str, Any], column: str, forms: tuple[str, str]) -> dict[str, Any]:
    """A chain through `column` as a row of the comparison, under the loss of the others; see `laws.chain`."""
    name = f"{forms[0]}, {forms[1]} of {column}"
    x, middle = selection.x, selection.points[column].to_numpy(dtype=float, na_value=np.nan)
    if not np.isfinite(middle).all():
        lacking = int((~np.isfinite(middle)).sum())
        reason = f"{number_of(lacking, 'point')} without {column}"
        return {"form": name, "aicc": None, "holdout": None, "reason": reason}
    out = comparison.held_out(x, settings["holdout"], selection.clusters)
    facts = {"rule": settings["holdout"], "n_fitted": int((~out).sum()), "n_held_out": int(out.sum())}
    same: dict[str, Any] = {"x_scale": settings["x_scale"], "mode": settings["mode"], "seed": settings["seed"]}
    drawn = {"clusters": selection.clusters, "hierarchy": selection.hierarchy, "bootstraps": settings["bootstraps"]}
    try:
        chain = fit_chain(x, middle, selection.y, forms, **same, **drawn)
        before = fit_chain(x[~out], middle[~out], selection.y[~out], forms, **same, bootstraps=0)
    except NotTestable as error:
        logger.warning("%s: %s is not testable: %s", settings["name"], name, error)
        return {"form": name, "aicc": None, "holdout": None, "reason": str(error)}
    measure = loss_by_name(settings["loss"] or form_by_name(settings["forms"][0]).loss)
    return {
        "form": name,
        "expression": f"{chain.first.form.expression.replace('score', column)}; "
        f"{chain.second.form.expression.replace('x', column)}",
        "params": chain.parameters,
        "loss": chain.loss(measure),
        "aicc": chain.aicc(measure),
        "holdout": {**facts, **comparison.prediction_errors(selection.y[out], before.predict(x[out]))},
        "curve": chain.curve(float(x.min()), float(x.max())),
        "beyond": chain.curve(float(x.max()), BEYOND * float(x.max())),
    }


def _line(curve: dict[str, list[float]] | None) -> dict[str, list[float]] | None:
    return curve and {key: curve[key] for key in ("x", "fit")}


def _holdout(selection: Selection, settings: dict[str, Any], form: str) -> dict[str, Any]:
    """Error on the points with the largest x of the form fitted to the others; of several variables, their product.

    The product of model and data size, or of model size, unique images and passes, stands for the compute, which is
    what an extrapolation extends.
    """
    x = selection.x if selection.x.ndim == 1 else selection.x.prod(axis=1)
    out = comparison.held_out(x, settings["holdout"], selection.clusters)
    facts = {"rule": settings["holdout"], "n_fitted": int((~out).sum()), "n_held_out": int(out.sum())}
    try:
        law = _fit(selection, settings, form, 0, ~out)
    except NotTestable as error:
        return {**facts, "reason": str(error)}
    return {**facts, **comparison.prediction_errors(selection.y[out], law.predict(x_of(form, selection.x)[out]))}


def _best_sizes(
    selection: Selection, settings: dict[str, Any], law: LawFit
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Of a law of several variables whose compute is known: its allocation, and the cost of each resample."""
    if not settings["compute"]:
        return None, {}
    compute, k = selection.points[settings["compute"]], len(law.resampled)
    scales = (float(law.x_scale[0]), float(law.x_scale[1]), SCALES[2])
    weights = None  # parity: the cost of all points serves every resample
    if law.mode == "corrected" and settings["bootstraps"]:
        weights = resample_weights(len(law.y), k, law.seed, selection.clusters, selection.hierarchy)
    n_params, n_samples_seen = x_of("chinchilla", law.x).T
    exponent, factor = cost_law(n_params, n_samples_seen, compute, weights, scales)
    columns = {"cost_exponent": np.broadcast_to(exponent, k), "cost_factor": np.broadcast_to(factor, k)}
    try:
        params = np.array(list(law.params.values()))
        if law.form.variables > 2:
            found = allocation_of_images(
                law.samples, params, law.x, compute, weights, scales=scales, invert_y=law.invert_y
            )
            return found, columns
        found = allocation(
            law.samples,
            params,
            n_params,
            n_samples_seen,
            compute,
            weights,
            law.mode,
            scales=scales,
            invert_y=law.invert_y,
        )
        return found, columns
    except NotTestable as error:
        logger.warning("%s has no allocation: %s", settings["name"], error)
        return None, columns


def _least_squares(law: LawFit) -> dict[str, Any]:
    """lmfit's least-squares fit of the same form to the scores: a check, and its report as text."""
    try:
        result = law.least_squares()
    except (ValueError, OverflowError) as error:  # lmfit's words for a model that is not finite at some step
        return {"params": None, "report": f"no least-squares fit: {error}"}
    return {"params": {name: float(p.value) for name, p in result.params.items()}, "report": result.fit_report()}


def _bootstraps(law: LawFit, columns: dict[str, Any]) -> pd.DataFrame:
    """One row a resample: natural parameters and the loss; infinite ones are kept as they are."""
    import pandas as pd

    return pd.DataFrame(law.samples, columns=law.form.names).assign(loss=law.resampled_loss, **columns)


SIMULATED = "SIMULATED data: the law says whether the pipeline works, and nothing about brains"
