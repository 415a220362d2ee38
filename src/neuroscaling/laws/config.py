"""A file of fits: which laws to fit to which rows of the score table.

Light (pydantic and yaml, no numpy, no pandas): read whenever the Snakefile is parsed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from neuroscaling.errors import Problem, StudyError, listing, nearest
from neuroscaling.study_file import validate
from neuroscaling.table import COLUMNS

FormName = Literal["power_law", "power_law_ceiling", "log_linear", "sqrt_saturating", "logistic"]
# Columns of the tables published with Gokce & Schrimpf 2025 that ours have not.
PUBLISHED_COLUMNS = [
    "model_id", "benchmark_id", "benchmark_name", "is_ssl", "ssl_method", "is_ablation", "is_open_clip", "is_adv",
    "adv_method", "ckpt", "epochs",
]  # fmt: skip
KNOWN_COLUMNS = [*COLUMNS, *PUBLISHED_COLUMNS]
Scalar = bool | int | float | str


def _filter(value: Any) -> Any:
    """A value, a list of values, or a mapping with min, max (both included) and not (a value or a list)."""
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"min", "max", "not"})
        if unknown or not value:
            raise ValueError(f"a filter may hold `min`, `max` and `not`, found {unknown or 'nothing'}")
        if any(not isinstance(value[key], int | float) for key in ("min", "max") if key in value):
            raise ValueError("`min` and `max` must be numbers")
        if "min" in value and "max" in value and value["min"] > value["max"]:
            raise ValueError("`min` is above `max`")
        return {**value, **({"not": _filter(value["not"])} if "not" in value else {})}
    if isinstance(value, list) and not value:
        raise ValueError("an empty list lets no row pass")
    if any(not isinstance(item, Scalar) for item in (value if isinstance(value, list) else [value])):
        raise ValueError("a filter is a value, a list of values, or {min: , max: , not: }")
    return value


Filter = Annotated[Any, AfterValidator(_filter)]


class Fit(BaseModel):
    """One law, fitted to the rows that its filters let pass; with `by`, one law for each value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="Name of the fit and of its files.")
    form: FormName | None = Field(None, description="The law; give either this or `forms`.")
    forms: list[FormName] = Field([], description="Laws to compare by AICc and held-out error; the first is drawn.")
    x: str = Field(description="Column of the table on the x axis, e.g. n_samples, n_params, total_flops, n_mapping.")
    x_scale: float | None = Field(
        None, gt=0, description="Unit of x in the law; by default the power of ten at or below the smallest x."
    )
    y: Literal["score", "raw", "acc"] = Field("score", description="Column that the law describes.")
    filters: dict[str, Filter] = Field(
        {}, description="Rows to keep, by column: a value, a list of values, or {min: , max: , not: }."
    )
    merge_families: bool = Field(
        True, description="Count ResNetFlex as ResNet, ConvNeXtFlex as ConvNeXt and ViTFlex as ViT."
    )
    group_by: list[str] = Field(
        ["run"],
        description="One point for each combination of these columns: the mean of y over its rows. [] for none.",
    )
    by: dict[str, list[Any]] = Field(
        {}, description="One fit for each combination of these values, named <name>.<value>, e.g. {region: [V1, IT]}."
    )
    cluster: list[str] = Field(
        [], description="Points that agree in these columns (such as the seeds of one cell) are resampled together."
    )
    loss: Literal["huber", "least_squares"] | None = Field(
        None, description="Loss; by default huber of the log misalignment for power_law, least_squares otherwise."
    )
    bootstraps: int = Field(1000, ge=0, le=100_000, description="Resamples for the intervals.")
    seed: int = Field(42, ge=0, description="Seed of the resamples.")
    holdout: Literal["top_decade", "largest", "largest_of_cluster"] = Field(
        "top_decade",
        description="Points kept out to test the extrapolation: x >= max / 10, the largest x, or that of each cluster.",
    )
    mode: Literal["corrected", "parity"] = Field(
        "corrected",
        description="`corrected`: incomplete groups are left out and named, bounds hold; `parity`: as published.",
    )

    @model_validator(mode="after")
    def _one_way_to_name_the_form(self) -> "Fit":
        if bool(self.form) == bool(self.forms):
            raise ValueError("give either `form` or `forms`")
        if any(not values or any(not isinstance(v, Scalar) for v in values) for values in self.by.values()):
            raise ValueError("`by` needs a list of values for each column")
        return self


class FitFile(BaseModel):
    """A file of fits: `fits:` holds a list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fits: list[Fit] = Field(description="The laws to fit.")


@dataclass(frozen=True)
class FitJob:
    """One law to fit: its name and its settings, a dictionary that JSON can hold."""

    name: str
    settings: dict[str, Any]


def load_fit_file(path: str | Path) -> FitFile:
    """Read and check a file of fits. Raises StudyError with everything that is wrong with it."""
    path = Path(path)
    fit_file, problems = validate(FitFile, _read(path), str(path))
    if fit_file is not None:
        problems = [*_column_problems(fit_file, path), *_name_problems(fit_file, path)]
    if problems:
        raise StudyError(problems)
    return fit_file


def expand(fit_file: FitFile) -> list[FitJob]:
    """The laws to fit, one for each value of `by`, in the order of the file."""
    return [job for fit in fit_file.fits for job in _jobs(fit)]


def _jobs(fit: Fit) -> Iterator[FitJob]:
    common = fit.model_dump(mode="json", exclude={"by", "form", "forms", "name", "filters"})
    for values in product(*fit.by.values()):
        name = ".".join([fit.name, *(str(value) for value in values)])
        filters = {**fit.filters, **dict(zip(fit.by, values, strict=True))}
        forms = fit.forms or [fit.form]
        yield FitJob(name, {**common, "name": name, "fit": fit.name, "forms": list(forms), "filters": filters})


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        others = sorted(str(p) for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        fix = "correct the path under `fits:`"
        raise StudyError(
            Problem("file of fits is missing", str(path), nearest=nearest(path, others), fix=fix)
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise StudyError(Problem("not valid YAML", where, str(getattr(error, "problem", error)))) from error


def _column_problems(fit_file: FitFile, path: Path) -> Iterator[Problem]:
    for i, fit in enumerate(fit_file.fits):
        used = {"x": [fit.x], "filters": fit.filters, "group_by": fit.group_by, "by": fit.by, "cluster": fit.cluster}
        for key, columns in used.items():
            for column in columns:
                if column not in KNOWN_COLUMNS:
                    where = f"{path}: fits[{i}].{key}"
                    yield Problem(
                        "unknown column", where, column, listing(KNOWN_COLUMNS, 40), nearest(column, KNOWN_COLUMNS)
                    )
        if COLUMNS.get(fit.x) in ("string", "bool"):
            numbers = [name for name, kind in COLUMNS.items() if kind not in ("string", "bool")]
            yield Problem("this column holds no numbers", f"{path}: fits[{i}].x", fit.x, listing(numbers, 40))
        for column in sorted(set(fit.by) & set(fit.filters)):
            yield Problem(
                "this column is filtered twice", f"{path}: fits[{i}].by", column, fix="drop it from `filters`"
            )


def _name_problems(fit_file: FitFile, path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for job in expand(fit_file):
        if not set(job.name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"):
            allowed = "letters, digits, `_`, `.` and `-`"
            yield Problem("a value of `by` can't be part of a file name", f"{path}: fits", job.name, allowed)
        if job.name in seen:
            yield Problem("two fits of one name", f"{path}: fits", job.name, fix="rename one of them")
        seen.add(job.name)
