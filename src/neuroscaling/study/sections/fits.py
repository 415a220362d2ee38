"""The section of a file of fits: one law, and the rows of the score table that it is fitted to."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.core.dotted_paths import find_path
from neuroscaling.core.errors import StudyError
from neuroscaling.study.sections.key_types import DOTTED, Section, Seed, is_dotted_path
from neuroscaling.study.sections.row_filters import Filter, is_scalar
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.yaml_document import Document

VARIABLES = {"chinchilla": 2, "data_constrained": 3}  # of the forms that have more than one
MOST_FITS = 10_000
UNMERGED = "unmerged_family"  # made by `merge_families`: the family as the table has it


Scale = Annotated[float, Field(gt=0)]
Column = Annotated[str, Field(min_length=1, max_length=100)]
FormName = Literal[
    "broken_power_law",
    "chinchilla",
    "data_constrained",
    "linear",
    "log_linear",
    "logistic",
    "power_law",
    "power_law_ceiling",
    "power_law_shift",
    "sqrt_saturating",
]
OWN_FORM = "package.module:NAME, where NAME is a neuroscaling.laws.parametrisation.Form"
OwnForm = Annotated[str, Field(pattern=DOTTED, max_length=1000)]


def _whose_form(value: Any) -> str:
    """The branch of the union: a dotted path has a colon, the names of the forms that are listed here have none."""
    return "<own>" if is_dotted_path(value) else "<listed>"


Form = Annotated[Annotated[FormName, Tag("<listed>")] | Annotated[OwnForm, Tag("<own>")], Discriminator(_whose_form)]
Mode = Literal["corrected", "parity"]


class Fit(Section):
    """One law, fitted to the rows that its filters let pass; with `by`, one law for each value."""

    example: ClassVar[str] = "{name: samples, form: power_law, x: n_samples}"

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", description="Name of the fit and of its files.")
    title: str = Field(
        "",
        max_length=200,
        description="What these laws are called in the report, e.g. `Compute, networks with a strong prior`; by "
        "default made of words: `Score of V4 against training images`.",
    )
    caption: str = Field("", max_length=1000, description="What a reader should know of these laws, for the report.")
    form: Form | None = Field(
        None, description="The law, by its name or by the dotted path of a form of one's own; give this or `forms`."
    )
    forms: list[Form] = Field([], description="Laws to compare by AICc and held-out error; the first is drawn.")
    x: Column | list[Column] = Field(
        description="Column of the table on the x axis, e.g. n_samples, n_params, total_flops, n_mapping; two columns "
        "for `chinchilla`: [n_params, n_samples_seen]; three for `data_constrained`: [n_params, n_samples, passes]."
    )
    x_scale: Scale | list[Scale] | None = Field(
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
    filters: dict[Column, Filter] = Field(
        {}, description="Rows to keep, by column: a value, a list of values, or {min: , max: , not: }."
    )
    merge_families: bool = Field(
        True, description="Count ResNetFlex as ResNet, ConvNeXtFlex as ConvNeXt and ViTFlex as ViT."
    )
    samples_per_class_of: dict[str, list[Annotated[int, Field(ge=0)]]] = Field(
        {},
        description="Families that are kept only at these samples per class (0 is all data), others untouched, e.g. "
        "{ViT: [0, 300]}.",
    )
    group_by: list[Column] = Field(
        ["run"],
        description="One point for each combination of these columns: the mean of y over its rows. [] for none.",
    )
    by: dict[Column, list[Any]] = Field(
        {},
        description="One fit for each combination of these values, named <name>.<value>, e.g. {region: [V1, IT]}; a "
        "value that no file can be called ends in a hash there.",
    )
    cluster: list[Column] = Field(
        [], description="Points that agree in these columns (such as the seeds of one cell) are resampled together."
    )
    hierarchy: list[Column] = Field(
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
    seed: Seed = Field(42, description="Seed of the resamples.")
    leave_out: list[Column] | None = Field(
        None,
        description="Columns whose groups are left out one by one, to tell what the law stands on (docs/laws.md). By "
        "default those of arch_family, unmerged_family, arch, dataset, samples_per_class, subject and seed that have 2 "
        "to 60 groups; [] for none.",
    )
    holdout: (
        Literal["top_decade", "largest", "largest_of_cluster"] | dict[Literal["last"], Annotated[int, Field(ge=1)]]
    ) = Field(
        "top_decade",
        description="Points kept out to test the extrapolation: x >= max / 10, the largest x, that of each cluster, or "
        "{last: k} for the k largest different x.",
    )
    compute: Column | None = Field(
        None,
        description="For `chinchilla` and `data_constrained`: column of the compute (total_flops); gives the "
        "compute-optimal allocation.",
    )
    chosen_on: Literal["keep", "leave_out", "correct"] = Field(
        "keep",
        description="Scores that the run's own layers were chosen on (`choose: reported`), which hold the luck of the "
        "choice: `keep` them, `leave_out` them, or `correct` them by the benchmark's mean luck, told by other seeds.",
    )
    through: dict[Column, Annotated[list[Form], Field(min_length=2, max_length=2)]] = Field(
        {},
        description="Chains to compare the laws with, by the column that they go through: the law of that column along "
        "x, and the law of y along that column, e.g. {acc: [power_law, linear]}.",
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

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Keys that don't go together, also in the corrected one of two modes."""
        if bool(self.form) == bool(self.forms):
            yield ("form", "forms"), "give either `form` or `forms`"
        if any(not values or not all(map(is_scalar, values)) for values in self.by.values()):
            yield ("by",), "`by` needs a list of values for each column"
        elif math.prod(map(len, self.by.values())) > MOST_FITS:
            yield ("by",), f"`by` makes {math.prod(map(len, self.by.values())):,} fits, and {MOST_FITS:,} are the most"
        yield from self._unlike_the_forms()
        if self.cluster and self.hierarchy:
            yield ("cluster", "hierarchy"), "give either `cluster` or `hierarchy`"
        if self.holdout == {}:
            yield ("holdout",), "`holdout` is a word or {last: k}"
        if self.corrected and "corrected" not in self.modes:
            yield ("corrected", "modes"), "`corrected` needs `modes: [parity, corrected]`"
        elif self.corrected:
            yield from self._faults_of_corrected()

    def _unlike_the_forms(self) -> Iterator[tuple[tuple[str, ...], str]]:
        columns = len(self.x) if isinstance(self.x, list) else 1
        forms = self.all_forms() if self.form or self.forms else []
        for form in forms:
            if ":" in form:
                yield from self._faults_of_own(form)
                continue
            needed = VARIABLES.get(form, 1)
            # Beside the law of N, U and R stands that of N and D = U R.
            beside = form == "chinchilla" and columns == VARIABLES.get(forms[0])
            if isinstance(self.x, list) != (needed > 1) or not (columns == needed or beside):
                needs = ("one column", "two columns", "three columns")[needed - 1]
                yield ("x", "form", "forms"), f"{form} needs {needs} as `x`"
        if isinstance(self.x, list) and columns not in VARIABLES.values():
            yield ("x",), "`x` is one column or a list of two or three"
        scales = self.x_scale if isinstance(self.x_scale, list) else [self.x_scale] * (self.x_scale is not None)
        if (scales or self.x_scale == []) and len(scales) != columns:
            yield ("x_scale", "x"), "`x_scale` needs one value for each column of `x`"
        if self.compute and not isinstance(self.x, list):
            yield ("compute", "x"), "`compute` belongs to a law of model and data size"
        several = [form for pair in self.through.values() for form in pair if form in VARIABLES]
        if self.through and (isinstance(self.x, list) or several or not self.invert_y):
            yield (
                ("through",),
                "a chain goes along one column, from x to y, with laws of one variable and `invert_y: true`",
            )

    def _faults_of_own(self, form: str) -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with the dotted path of a form; how many variables it has, its fit finds out."""
        try:
            find_path(form, "form", OWN_FORM)
        except StudyError as error:
            key = "form" if self.form else "forms"
            yield from (((key,), f"{form}: {problem.what}") for problem in error.problems)

    def _faults_of_corrected(self) -> Iterator[tuple[tuple[str, ...], str]]:
        filters = self.corrected.get("filters")
        if filters is not None and not isinstance(filters, dict):
            yield ("corrected",), "`filters` of `corrected` must be a mapping"
            return
        for fault in validated(Fit, Document("", self.settings_in_mode("corrected")))[2]:
            key = ".".join(map(str, fault.location))
            yield ("corrected",), f"{key}: {fault.problem.what}" if key else fault.problem.what

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
            "leave_out": [column for column in self.leave_out or [] if column != UNMERGED],
            "through": list(self.through),
        }

    def in_mode(self, mode: str) -> "Fit":
        """This fit in one of its `modes`."""
        return Fit(**self.settings_in_mode(mode))

    def settings_in_mode(self, mode: str) -> dict[str, Any]:
        """The keys of this fit in one of its `modes`, not looked at yet."""
        own = self.model_dump(exclude={"modes", "corrected"}, exclude_unset=True) | {"mode": mode}
        changes = self.corrected if mode == "corrected" else {}
        filters = {**self.filters, **(changes.get("filters") or {})}
        drop = {"form", "forms"} if {"form", "forms"} & set(changes) else set()
        own = {key: value for key, value in own.items() if key not in drop}
        return {**own, **changes, "filters": {k: v for k, v in filters.items() if v is not None}}
