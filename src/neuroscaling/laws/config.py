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
from neuroscaling.yaml_text import load_yaml

FORM_NAMES = sorted(path.stem for path in (Path(__file__).parent / "forms").glob("[a-z]*.py") if path.stem != "base")
TWO_VARIABLES = ("chinchilla",)
# Columns of the tables published with Gokce & Schrimpf 2025 that ours have not.
PUBLISHED_COLUMNS = [
    "model_id", "benchmark_id", "benchmark_name", "is_ssl", "ssl_method", "is_ablation", "is_open_clip", "is_adv",
    "adv_method", "ckpt", "epochs", "total_flops_pretrained",
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
FormName = Literal[*FORM_NAMES]
Mode = Literal["corrected", "parity"]


class Fit(BaseModel):
    """One law, fitted to the rows that its filters let pass; with `by`, one law for each value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="Name of the fit and of its files.")
    form: FormName | None = Field(None, description="The law; give either this or `forms`.")
    forms: list[FormName] = Field([], description="Laws to compare by AICc and held-out error; the first is drawn.")
    x: str | list[str] = Field(
        description="Column of the table on the x axis, e.g. n_samples, n_params, total_flops, n_mapping; two columns "
        "for `chinchilla`: [n_params, n_samples_seen]."
    )
    x_scale: float | list[float] | None = Field(
        None, description="Unit of x in the law; by default the power of ten at or below the smallest x."
    )
    y: Literal["score", "raw", "acc"] = Field("score", description="Column that the law describes.")
    invert_y: bool = Field(
        True, description="The power laws describe 1 - y; with `false` y itself, a quantity that falls with x."
    )
    mean_over_scales: bool = Field(
        False,
        description="Let each point be the mean of scores on several scales, the same for every point, as the average "
        "of neural and behavioural scores in Gokce & Schrimpf 2025; otherwise scores on one scale alone are fitted.",
    )
    filters: dict[str, Filter] = Field(
        {}, description="Rows to keep, by column: a value, a list of values, or {min: , max: , not: }."
    )
    merge_families: bool = Field(
        True, description="Count ResNetFlex as ResNet, ConvNeXtFlex as ConvNeXt and ViTFlex as ViT."
    )
    samples_per_class_of: dict[str, list[int]] = Field(
        {},
        description="Families that are kept only at these samples per class (0 is all data), others untouched, e.g. "
        "{ViT: [0, 300]}.",
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
    hierarchy: list[str] = Field(
        [],
        description="Columns of a hierarchical bootstrap, outermost first, e.g. [subject]: subjects are drawn, then "
        "points within each drawn subject.",
    )
    loss: Literal["huber", "least_squares", "weighted"] | None = Field(
        None,
        description="Loss; by default huber (of log misalignments, delta 1e-3) for the power laws of 1 - y, "
        "least_squares (of scores) otherwise. weighted: least squares in units of each score's own error.",
    )
    bootstraps: int = Field(1000, ge=0, le=100_000, description="Resamples for the intervals.")
    seed: int = Field(42, ge=0, description="Seed of the resamples.")
    holdout: Literal["top_decade", "largest", "largest_of_cluster"] | dict[Literal["last"], int] = Field(
        "top_decade",
        description="Points kept out to test the extrapolation: x >= max / 10, the largest x, that of each cluster, or "
        "{last: k} for the k largest different x.",
    )
    compute: str | None = Field(
        None, description="For `chinchilla`: column of the compute (total_flops); gives the compute-optimal allocation."
    )
    mode: Mode = Field(
        "corrected",
        description="`corrected`: incomplete groups are left out and named, bounds hold; `parity`: as published.",
    )
    modes: list[Mode] = Field(
        [], description="Both modes of one fit: [parity, corrected]; the corrected one is called <name>.corrected."
    )
    corrected: dict[str, Any] = Field(
        {}, description="With `modes`: keys that differ in the corrected fit; `filters` are merged, null drops one."
    )

    @model_validator(mode="after")
    def _one_way_to_name_the_form(self) -> "Fit":
        if bool(self.form) == bool(self.forms):
            raise ValueError("give either `form` or `forms`")
        if any(not values or any(not isinstance(v, Scalar) for v in values) for values in self.by.values()):
            raise ValueError("`by` needs a list of values for each column")
        return self

    @model_validator(mode="after")
    def _variables_suit_the_forms(self) -> "Fit":
        for form in self.all_forms():
            if (form in TWO_VARIABLES) != isinstance(self.x, list):
                raise ValueError(f"{form} needs {'two columns' if form in TWO_VARIABLES else 'one column'} as `x`")
        if isinstance(self.x, list) and len(self.x) != 2:
            raise ValueError("`x` is one column or a list of two")
        scales = self.x_scale if isinstance(self.x_scale, list) else [self.x_scale] * (self.x_scale is not None)
        if scales and len(scales) != (2 if isinstance(self.x, list) else 1):
            raise ValueError("`x_scale` needs one value for each column of `x`")
        if any(scale <= 0 for scale in scales):
            raise ValueError("`x_scale` must be above 0")
        if self.compute and not isinstance(self.x, list):
            raise ValueError("`compute` belongs to a law of two variables")
        if self.cluster and self.hierarchy:
            raise ValueError("give either `cluster` or `hierarchy`")
        return self

    @model_validator(mode="after")
    def _corrected_is_a_fit(self) -> "Fit":
        if self.corrected and "corrected" not in self.modes:
            raise ValueError("`corrected` needs `modes: [parity, corrected]`")
        if self.corrected:
            self.in_mode("corrected")
        return self

    def all_forms(self) -> list[str]:
        """The law and the forms that it is compared with."""
        return list(self.forms) or [str(self.form)]

    def columns(self) -> dict[str, list[str]]:
        """Columns of the table that each key names."""
        return {
            "x": [self.x] if isinstance(self.x, str) else self.x,
            "filters": list(self.filters),
            "group_by": self.group_by,
            "by": list(self.by),
            "cluster": self.cluster,
            "hierarchy": self.hierarchy,
            "compute": [self.compute] if self.compute else [],
        }

    def in_mode(self, mode: str) -> "Fit":
        """This fit in one of its `modes`."""
        own = self.model_dump(exclude={"modes", "corrected"}, exclude_unset=True) | {"mode": mode}
        changes = self.corrected if mode == "corrected" else {}
        filters = {**self.filters, **(changes.get("filters") or {})}
        drop = {"form", "forms"} if {"form", "forms"} & set(changes) else set()
        own = {key: value for key, value in own.items() if key not in drop}
        return Fit(**{**own, **changes, "filters": {k: v for k, v in filters.items() if v is not None}})


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
    for mode in fit.modes or [fit.mode]:
        one = fit.in_mode(mode)
        ending = [mode] if len(fit.modes) > 1 and mode == "corrected" else []
        common = one.model_dump(mode="json", exclude={"by", "form", "forms", "name", "filters", "modes", "corrected"})
        for values in product(*one.by.values()):
            name = ".".join([fit.name, *(str(value) for value in values), *ending])
            filters = {**one.filters, **dict(zip(one.by, values, strict=True))}
            forms = one.all_forms()
            yield FitJob(name, {**common, "name": name, "fit": fit.name, "forms": forms, "filters": filters})


def _read(path: Path) -> Any:
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
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
    numbers = [name for name, kind in COLUMNS.items() if kind not in ("string", "bool")]
    for i, fit in enumerate(fit_file.fits):
        named = [item for mode in fit.modes or [fit.mode] for item in fit.in_mode(mode).columns().items()]
        for key in dict.fromkeys(key for key, _ in named):
            where = f"{path}: fits[{i}].{key}"
            for column in dict.fromkeys(column for other, columns in named if other == key for column in columns):
                if column not in KNOWN_COLUMNS:
                    yield Problem(
                        "unknown column", where, column, listing(KNOWN_COLUMNS, 40), nearest(column, KNOWN_COLUMNS)
                    )
                elif key in ("x", "compute") and COLUMNS.get(column) in ("string", "bool"):
                    yield Problem("this column holds no numbers", where, column, listing(numbers, 40))
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
