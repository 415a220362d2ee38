"""`fit` finds the law of a table's scores; a law predicts, draws itself, and says what of it the data identify."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.api.tables import scores_of, table_html, table_text
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest, number_of
from neuroscaling.core.file_names import distinct_name
from neuroscaling.laws.filters import check_columns, filtered, merged_families
from neuroscaling.laws.finished_law import FinishedLaw, fit_record, require_law
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.point_checks import NotTestable
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from neuroscaling.study.sections.fits import VARIABLES, Fit
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.yaml_document import Document

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
RUN = "run"
SCORES = ("score", "raw", "acc")
FORMS_OF_SEVERAL = {n: form for form, n in VARIABLES.items()}
NO_INTERVAL = (float("nan"), float("nan"))
OF_FILES = ("name", "forms", "modes", "corrected", "leave_out")
PARAMETER_COLUMNS = ["parameter", "value", "low", "high", "identified", "reasons"]
INCHES = (4.2, 3.2)


@dataclass(frozen=True, repr=False)
class Law:
    """A fitted law.

    Attributes:
        record: the whole record of the fit, as a study's file has it (docs/formats.md).
    """

    record: FinishedLaw

    @property
    def name(self) -> str:
        """Name of the fit."""
        return self.record.name

    @property
    def form(self) -> str:
        """Name of its form, such as `power_law`."""
        return self.record.form_name

    @property
    def params(self) -> dict[str, float]:
        """The parameters, in units of `record.scales`."""
        return dict(self.record.params)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % interval of each parameter, from bootstraps."""
        return dict(self.record.ci95)

    @property
    def identified(self) -> dict[str, bool]:
        """Whether the data identify each parameter; `to_pandas` has the reasons."""
        return {name: self.record.identifies(name) for name in self.record.params}

    @property
    def saturation(self) -> float | None:
        """y for infinite x; None where the form has no asymptote, or the data show none."""
        return self.record.saturation

    @property
    def notes(self) -> list[str]:
        """What a reader must know before using the law."""
        left_out = [f"left out: {n} {reason}" for reason, n in self.record.dropped.items()]
        simulated = ["SIMULATED data: this law says nothing about brains"] if self.record.simulated else []
        return [*simulated, *self.record.notes, *left_out]

    @property
    def compared(self) -> "pd.DataFrame":
        """The forms that were compared, best first: AICc, its difference to the best, error on held-out points."""
        import pandas as pd

        rows = [[one.form, one.aicc, one.delta_aicc, one.held_out_error, one.reason] for one in self.record.compared]
        return pd.DataFrame(rows, columns=["form", "aicc", "delta_aicc", "held_out_error", "reason"])

    def predict(self, x: Any) -> Array:
        """y of the law at x: a number or (n,), or (n, d) for a law of d variables."""
        return np.asarray(self.record.predict(self.record.fitted[0], self._points(x)))

    def interval(self, x: Any) -> tuple[Array, Array]:
        """The pointwise 95 % interval of the law at x, from bootstraps: lower and upper ends.

        Raises DataError for a law without bootstraps.
        """
        points = self._points(x)
        params = require_law(self.record)
        drawn = params.predict(params.samples[:, None, :], np.atleast_2d(points)[None])
        low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
        shape = points.shape[:-1]
        return low.reshape(shape), high.reshape(shape)

    def plot(self, ax: "Axes | None" = None, *, color: str | None = None, label: str | None = None) -> "Axes":
        """Draw points, curve and 95 % band, x in log scale; returns the axes.

        A law of several variables is drawn along the compute-optimal sizes, where its compute is known.
        """
        from neuroscaling.report.figure import draw_curve
        from neuroscaling.report.law_figures import panel_of
        from neuroscaling.report.style import BLUE, axis_label

        ax, panel, color = ax or _new_axes(), panel_of(self.record), color or BLUE
        if panel.curve is not None:
            draw_curve(ax, panel.curve, color)
        ax.plot(panel.x, self.record.points.y, "o", color=color, markersize=4, alpha=0.7, label=label)
        ax.set(xscale="log", xlabel=axis_label(panel.column), ylabel=panel.y_label)
        if self.record.simulated:
            ax.set_title("SIMULATED", fontsize="small", loc="right")
        return ax

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each parameter: its value, its 95 % interval, whether the data identify it, and why not."""
        import pandas as pd

        rows = [
            [
                name,
                value,
                *self.record.ci95.get(name, (np.nan, np.nan)),
                self.record.identifies(name),
                self._doubts(name),
            ]
            for name, value in self.record.params.items()
        ]
        return pd.DataFrame(rows, columns=PARAMETER_COLUMNS)

    def _points(self, x: Any) -> Array:
        values, n = np.asarray(x, dtype=np.float64), len(self.record.variables)
        if n == 1:
            return values[..., None]
        if values.ndim == 0 or values.shape[-1] != n:
            allowed = f"(n, {n}): {', '.join(self.record.variables)}"
            raise DataError(Problem(what="x of another shape", where=self.name, value=values.shape, allowed=allowed))
        return values

    def _doubts(self, parameter: str) -> str:
        flag = self.record.flags.get(parameter)
        return "; ".join(flag.reasons) if flag else ""

    @property
    def _title(self) -> str:
        what = f"{self.record.y} of {', '.join(self.record.variables)}: {self.record.expression}"
        scales = ", ".join(f"{scale:g}" for scale in self.record.scales)
        return f"Law: {what}; x in units of {scales}, {self.record.n} points, {self.record.mode}"

    def __repr__(self) -> str:
        return "\n".join([self._title, table_text(self._shown), *self._remarks])

    def _repr_html_(self) -> str:
        return table_html(self._title, self._shown, self._remarks)

    @property
    def _shown(self) -> "pd.DataFrame":
        return self.to_pandas().drop(columns="reasons")

    @property
    def _remarks(self) -> list[str]:
        doubts = [f"{name}: {doubt}" for name in self.params if (doubt := self._doubts(name))]
        level = [] if self.saturation is None else [f"saturates at {self.saturation:.3g}"]
        others = [f"{one.form} {one.delta_aicc:.3g}" for one in self.record.compared if one.delta_aicc is not None]
        return [*doubts, *level, *([f"AICc above the best form: {', '.join(others)}"] if others else []), *self.notes]


@dataclass(frozen=True, repr=False)
class Laws(Mapping[Hashable, Law]):
    """Laws by what tells them apart: the values of `by`, or the names of a study's fits.

    Attributes:
        laws: those that were fitted.
        reasons: why others were not.
        by: the columns that `laws` are keyed by.
    """

    laws: dict[Hashable, Law]
    reasons: dict[Hashable, str]
    by: tuple[str, ...]

    def __getitem__(self, key: Hashable) -> Law:
        if key in self.laws:
            return self.laws[key]
        if key in self.reasons:
            raise NotTestable(Problem(what=f"no law could be fitted: {self.reasons[key]}", where=str(key)))
        known = [str(one) for one in self.laws]
        raise DataError(
            Problem(
                what="no such law",
                where=", ".join(self.by),
                value=key,
                allowed=listing(known),
                nearest=nearest(key, known),
            )
        )

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self.laws)

    def __len__(self) -> int:
        return len(self.laws)

    def __contains__(self, key: object) -> bool:
        return key in self.laws

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The law of a key, or `default` where there is none."""
        return self.laws.get(key, default)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw all laws on one axes, each in its colour; returns the axes."""
        from neuroscaling.report.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

        ax, colors = ax or _new_axes(), (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
        for i, (key, law) in enumerate(self.items()):
            law.plot(ax, color=colors[i % len(colors)], label=_words(key))
        if len(self):
            ax.legend(frameon=False, fontsize="small")
        return ax

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each parameter of each law, behind the columns of `by`."""
        import pandas as pd

        tables = []
        for key, law in self.items():
            table = law.to_pandas()
            values = key if isinstance(key, tuple) else (key,)
            for place, (column, value) in enumerate(zip(self.by, values, strict=True)):
                table.insert(place, column, value)
            tables.append(table)
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*self.by, *PARAMETER_COLUMNS])

    def __repr__(self) -> str:
        return "\n".join([self._title, table_text(self._shown), *self._remarks])

    def _repr_html_(self) -> str:
        return table_html(self._title, self._shown, self._remarks)

    @property
    def _title(self) -> str:
        return f"{number_of(len(self), 'law')} by {', '.join(self.by)}"

    @property
    def _shown(self) -> "pd.DataFrame":
        """A row for each law: its parameters, those that the data don't identify in brackets."""
        import pandas as pd

        rows = []
        for key, law in self.items():
            values = key if isinstance(key, tuple) else (key,)
            cells = {n: f"{v:.3g}" if law.identified[n] else f"({v:.3g})" for n, v in law.params.items()}
            level = "" if law.saturation is None else f"{law.saturation:.3g}"
            rows.append(dict(zip(self.by, values, strict=True)) | {"form": law.form, "points": law.record.n}
                        | cells | {"saturation": level})  # fmt: skip
        return pd.DataFrame(rows).fillna("")

    @property
    def _absent(self) -> dict[str, list[str]]:
        """Keys without a law, by the reason."""
        found: dict[str, list[str]] = {}
        for key, reason in self.reasons.items():
            found.setdefault(reason, []).append(_words(key))
        return found

    @property
    def _remarks(self) -> list[str]:
        in_brackets = any(not all(law.identified.values()) for law in self.values())
        simulated = any(law.record.simulated for law in self.values())
        return [
            *(["in brackets: not identified by the data"] if in_brackets else []),
            *(["SIMULATED data: these laws say nothing about brains"] if simulated else []),
            *(f"no law of {listing(keys)}: {reason}" for reason, keys in self._absent.items()),
        ]


def fit(
    table: Any,
    x: str | Sequence[str],
    y: str = "score",
    by: str | Sequence[str] | None = None,
    *,
    form: str | Sequence[str] | None = None,
    mode: str = "corrected",
    filters: Mapping[str, Any] | None = None,
    group_by: str | Sequence[str] | None = None,
    invert_y: bool = True,
    bootstraps: int = 1000,
    seed: int = 42,
    **options: Any,
) -> Law | Laws:
    """Fit the law of a column of a table along one or several others, as `fits:` of a study do.

    Args:
        table: of pandas or polars, or the path of a CSV or parquet file, such as `results/<study>/scores.parquet`.
        x: a column; two of parameters and images seen for the law `chinchilla`, three for `data_constrained`.
        y: the column that the law describes.
        by: columns; there is one law for each combination of their values.
        form: the law, such as `power_law`, `log_linear` or `logistic` (docs/laws.md), or several to compare by AICc and
            held-out error, of which the first is drawn. By default `power_law`, or what several columns of x make.
        mode: `corrected`, or `parity` as published.
        filters: rows to keep, by column: a value, a list of values, or `{"min": ..., "max": ..., "not": ...}`.
        group_by: columns; one point is the mean of y for each combination of their values. By default `run` where the
            table has it; otherwise each row is a point.
        invert_y: power laws describe 1 - y; False for a quantity that falls with x, such as a loss.
        bootstraps: resamples for the intervals.
        seed: of the resamples.
        options: further keys of a fit (config/README.md), such as `loss`, `cluster`, `x_scale`, `compute`, `holdout`.

    Returns:
        The law; with `by` all laws by the values of these columns, and the reasons where there is none.

    Raises:
        NeuroscalingError: for unknown columns, forms and options, with the nearest; for points that no law describes;
            and, without `by`, where there are too few.
    """
    scores, failed = scores_of(table, "fit(): table")
    columns = _listed(by)
    check_columns(scores, [*_listed(x), y, *columns, *_listed(group_by), *(filters or {})])
    keys = _listed(group_by) if group_by is not None else [RUN] if RUN in scores else []
    given = {
        "mode": mode,
        "filters": dict(filters or {}),
        "group_by": keys,
        "invert_y": invert_y,
        "bootstraps": bootstraps,
        "seed": seed,
    }
    settings = _settings(_listed(x), y, form, given | options)
    if not columns:
        record = fit_record(*fit_table(scores, settings, failed))
        if isinstance(record, FinishedLaw):
            return Law(record)
        raise NotTestable(Problem(what=f"no law can be fitted: {record.reason}", where="fit()"))
    found: dict[Hashable, FitRecord] = {}
    chosen = filtered(merged_families(scores) if settings["merge_families"] else scores, settings["filters"])
    values = chosen[columns].dropna().drop_duplicates().sort_values(columns)
    for row in values.itertuples(index=False):
        cells = [one.item() if isinstance(one, np.generic) else one for one in row]
        own = {"name": ".".join(["fit", *(distinct_name(str(cell)) for cell in cells)])}
        own_filters = {**settings["filters"], **dict(zip(columns, cells, strict=True))}
        content = fit_table(scores, {**settings, **own, "filters": own_filters}, failed)
        found[cells[0] if len(cells) == 1 else tuple(cells)] = fit_record(*content)
    return laws_of(found, tuple(columns))


def laws_of(records: Mapping[Hashable, FitRecord], by: tuple[str, ...]) -> Laws:
    """The laws among the records of fits, and the reasons of the others."""
    laws = {key: Law(one) for key, one in records.items() if isinstance(one, FinishedLaw)}
    return Laws(laws, {key: one.reason for key, one in records.items() if key not in laws}, by)


def _settings(x: list[str], y: str, form: str | Sequence[str] | None, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a fit of a study. Raises StudyError with all that is wrong with them."""
    if wrong := [key for key in given if key in OF_FILES]:
        fix = "call fit() once for each"
        raise StudyError(Problem(what="a key of files of fits alone", where="fit()", value=listing(wrong), fix=fix))
    forms = _listed(form) or [FORMS_OF_SEVERAL.get(len(x), "power_law")]
    # A study's laws are of three columns of its own table; any other column is fitted in the same way.
    content = {
        "name": "fit",
        "forms": forms,
        "x": x[0] if len(x) == 1 else x,
        "y": y if y in SCORES else "score",
        **given,
    }
    found, document, faults = validated(Fit, Document("fit()", content))
    if faults or found is None:
        raise StudyError(document.problems(faults))
    (job,) = expand_fits(FitFile(fits=[found]))
    return {**job.settings, "y": y}


def _listed(names: str | Sequence[str] | None) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _words(key: Hashable) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _new_axes() -> "Axes":
    from matplotlib import pyplot as plt

    axes: Axes = plt.subplots(figsize=INCHES, layout="constrained")[1]
    return axes
