"""What every section of the study file is made of, and the types and ranges that several of its keys share.

Types are strict: `"3"`, `1.0` and `true` are no whole numbers. Paths are written as texts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

NAME = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,79}$"
NAME_IN_WORDS = "letters, digits, `.` and `-`, beginning with a letter or a digit, 80 at most"
LARGEST_SEED = 2**32 - 1
PATH_BYTES = 1000  # of a whole path: the names of what lies below it come on top, and systems take 4,095
NAME_BYTES = 255  # of one part of a path, everywhere
SHAPE_ONLY = "shape_only"
"""Key of pydantic's context: keys are looked at one by one, and contradictions between them later."""


def _checked_path(path: Path) -> Path:
    parts = [len(part.encode("utf-8", "surrogatepass")) for part in path.parts]
    if max(parts, default=0) > NAME_BYTES:
        raise ValueError(f"a name in a path has at most {NAME_BYTES} bytes, and one here has {max(parts):,}")
    if sum(parts) > PATH_BYTES:
        raise ValueError(f"a path has at most {PATH_BYTES:,} bytes here, and this one {sum(parts):,}")
    return path


def _named(path: Path) -> Path:
    if not path.name:
        raise ValueError("the path of a file or a folder is needed")
    return path


def _once(values: list[Any]) -> list[Any]:
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        raise ValueError(f"`{twice}` is there twice")
    return values


AnyPath = Annotated[Path, Field(strict=False), AfterValidator(_checked_path)]
NamedPath = Annotated[AnyPath, AfterValidator(_named)]
# A folder that `${VARIABLE:-}` may leave empty.
OptionalFolder = Annotated[AnyPath | None, BeforeValidator(lambda value: None if value == "" else value)]
Folders = AnyPath | Annotated[list[AnyPath], Field(min_length=1)]
# What numpy and scikit-learn take; torch would take more.
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Names = Annotated[list[Text], Field(min_length=1)]
# Run folders are called by architecture and data set, and a name on a disk has 255 bytes.
Archs = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1)]
once = AfterValidator(_once)
DistinctNames = Annotated[Names, once]
SESSION = "^[A-Za-z0-9]{1,40}$"
Session = Annotated[str, Field(pattern=SESSION)]
Sessions = Annotated[list[Session], Field(min_length=1), once]
# A list of numbers that JSON writes as such and Python keeps as a tuple.
AsTuple = Field(strict=False)


class Contradictions(ValueError):
    """Values that are right by themselves and don't go together: each with the keys that it is about, as `a.b`."""

    def __init__(self, faults: list[tuple[tuple[str, ...], str]]):
        self.faults = faults
        super().__init__("; ".join(f"{', '.join(keys)}: {what}" if keys else what for keys, what in faults))


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, and so are values of another type.

    example: how the section is written, for messages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    example: ClassVar[str] = ""

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The keys and what is wrong, for each thing that can't be as this section says."""
        yield from ()

    @model_validator(mode="after")
    def _without_contradictions(self, info: ValidationInfo) -> "Section":
        if not (info.context or {}).get(SHAPE_ONLY):
            faults = list(self.contradictions())
            if faults:
                raise Contradictions(faults)
        return self


def keys_of(value: Any) -> Any:
    """The keys of a mapping or of a section, for the choice of a union's branch; None of anything else."""
    if isinstance(value, Section):
        return type(value).model_fields
    return value if isinstance(value, dict) else None
