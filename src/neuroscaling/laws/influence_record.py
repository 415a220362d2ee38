"""The record of what a fit stands on is typed, and one function reads it: groups left out, single points, a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from neuroscaling.core.errors import DataError, Problem, number_of
from neuroscaling.core.files import read_object
from neuroscaling.core.table_files import read_parquet_frame
from neuroscaling.laws.filters import FAMILIES
from neuroscaling.laws.finished_law import AGAIN
from neuroscaling.laws.fit_record import Number

if TYPE_CHECKING:
    import pandas as pd


FORMAT = "influence/1"
SUFFIX = ".influence.json"
JUDGED, NOT_ASKED, NO_LAW = "judged", "not asked", "no law"
GROUP_COLUMN = "group"


Value = bool | int | float | str


class Record(BaseModel):
    """A part of the record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantity(Record):
    """The asymptote or an exponent of a law: its value with its 95 % interval, and why it isn't identified.

    doubt: empty where the data identify it.
    """

    value: Number
    low: Number
    high: Number
    doubt: str = ""

    @property
    def identified(self) -> bool:
        """Whether the data identify it."""
        return not self.doubt


class FormWithout(Record):
    """A form of the comparison, fitted without one group: its parameters by name, and what tells it from other forms.

    aicc: None where too few points are left; held_out_error: mean absolute error on the held-out points that are left,
    None where the rest allows no fit.
    """

    form: str
    params: dict[str, Number]
    aicc: float | None = None
    held_out_error: float | None = None


class GroupInfluence(Record):
    """The fit without one group of its points.

    number: of its rows in the table of resamples; column, value: what the points of the group have; also: columns whose
    value has the same points; n: points that are left; share: of the points that the group holds; reason: why no law
    can be fitted without it; params: by name; quantities: by name; changes: what of the law rests on the group, in
    words, empty where nothing does; gains: what is identified without the group alone; forms: those that are compared,
    the fit's own among them, empty in parity mode and where one form is fitted.
    """

    number: int
    column: str
    value: Value
    also: list[tuple[str, Value]] = []
    n: int
    share: float
    reason: str = ""
    params: dict[str, Number] = {}
    quantities: dict[str, Quantity] = {}
    changes: list[str] = []
    gains: list[str] = []
    forms: list[FormWithout] = []

    @property
    def words(self) -> str:
        """What the group is called in a sentence: `ResNetFlex`, `seed 0`, `all images` for 0 samples per class."""
        return group_words(self.column, self.value)


class PointInfluence(Record):
    """A single point: its label and place, and what each quantity would be without it.

    weight: the largest change of a quantity, in halves of its 95 % interval.
    """

    label: str
    x: list[float]
    y: float
    quantities: dict[str, Number]
    weight: Number


class Influence(Record):
    """What a fit stands on.

    status: JUDGED; NOT_ASKED with `leave_out: []`; NO_LAW where the fit has none. columns: those that groups were made
    by; bootstraps: resamples of each group; judged: quantities that the whole fit identifies, on which the verdict
    rests; whole: quantities of the whole fit; points: the most influential ones, of `points_refitted` that were left
    out one by one. stands: None where it can't be said; verdict: in words.
    """

    name: str
    fit: str
    mode: str
    status: str
    columns: list[str] = []
    bootstraps: int = 0
    judged: list[str] = []
    whole: dict[str, Quantity] = {}
    groups: list[GroupInfluence] = []
    points: list[PointInfluence] = []
    points_refitted: int = 0
    stands: bool | None = None
    verdict: str = ""

    @property
    def carriers(self) -> list[GroupInfluence]:
        """The groups without which the law is another one."""
        return [group for group in self.groups if group.changes]


def group_words(column: str, value: Value) -> str:
    """What a group is called in a sentence."""
    if column == "unmerged_family" and value in FAMILIES.values():
        return f"{value} (its flexible variants kept)"
    if column == "samples_per_class":
        return f"{number_of(int(value), 'image')} per class" if value else "all images per class"
    return str(value) if isinstance(value, str) else f"{column.replace('_', ' ')} {value}"


def influence_path(fit: str | Path) -> Path:
    """Where the record lies beside the file of a fit."""
    path = Path(fit)
    return path.with_name(f"{path.stem}{SUFFIX}")


def is_influence(path: Path) -> bool:
    """Whether a file is called as such a record."""
    return path.name.endswith(SUFFIX)


def fit_files(folder: Path, pattern: str = "*") -> list[Path]:
    """The files of the fits in a folder whose names match `pattern`, without the records beside them."""
    return sorted(path for path in folder.glob(f"{pattern}.json") if not is_influence(path))


def resamples_path(fit: str | Path) -> Path:
    """Where the resamples of all groups lie beside the file of a fit."""
    path = Path(fit)
    return path.with_name(f"{path.stem}.influence.parquet")


def read_influence(path: str | Path) -> Influence:
    """The record in the file at `path`. Raises DataError for one that is missing, damaged or of another format."""
    content = read_object(path)
    if content.pop("format", None) != FORMAT:
        what = "not the record of what a fit stands on, or one of another version"
        raise DataError(Problem(what=what, where=f"{path}: format", allowed=FORMAT, fix=AGAIN))
    for key in ("seconds", "provenance"):
        content.pop(key, None)
    try:
        return Influence.model_validate(content)
    except ValidationError as error:
        problems = [
            Problem(what=fault["msg"], where=", ".join([str(path), *map(str, fault["loc"])]), fix=AGAIN)
            for fault in error.errors()
        ]
        raise DataError(problems) from None


def read_resamples(path: str | Path, influence: Influence) -> dict[int, pd.DataFrame]:
    """The natural parameters of the resamples of each group, by its number. Raises DataError for other groups'."""
    frame = read_parquet_frame(path)
    known = {group.number for group in influence.groups if not group.reason}
    if GROUP_COLUMN not in frame or not set(frame[GROUP_COLUMN]) <= known:
        what = "these resamples are not those of the groups of this fit"
        raise DataError(Problem(what=what, where=str(path), value=influence.name, fix=AGAIN))
    return {int(n): rows.drop(columns=GROUP_COLUMN) for n, rows in frame.groupby(GROUP_COLUMN)}
