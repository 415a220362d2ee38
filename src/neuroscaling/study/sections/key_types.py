"""Types and ranges of the keys of a study file, and what may stand at a key in words.

Types are strict: `"3"`, `1.0` and `true` are no whole numbers. Paths are written as texts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.fields import FieldInfo

from neuroscaling.core.errors import Location

NAME = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,79}$"
NAME_IN_WORDS = "letters, digits, `.` and `-`, beginning with a letter or a digit, 80 at most"
LARGEST_SEED = 2**32 - 1
PATH_BYTES = 1000  # of a whole path: the names of what lies below it come on top, and systems take 4,095
NAME_BYTES = 255  # of one part of a path, everywhere
AUTO: Literal["auto"] = "auto"
"""How many runs share a job follows from their planned work (planning/job_groups.py)."""
PerJob = Annotated[int, Field(ge=1, le=100_000)] | Literal["auto"]


def fixed_size(per_job: int | Literal["auto"]) -> int:
    """How many share a job where no work is planned: one for `auto`."""
    return 1 if per_job == AUTO else per_job


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
Epochs = (
    Literal["latest", "all"] | Annotated[list[Annotated[int, Field(ge=0, le=1_000_000)]], Field(min_length=1), once]
)
DistinctNames = Annotated[Names, once]
SESSION = "^[A-Za-z0-9]{1,40}$"
ARRAYS_NAME = "^[A-Za-z0-9][A-Za-z0-9-]{0,39}$"
DOTTED = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
Session = Annotated[str, Field(pattern=SESSION)]
Sessions = Annotated[list[Session], Field(min_length=1), once]
HangSeconds = Annotated[float, Field(gt=0, le=1_000_000)] | None
MOST = 1_000_000  # of images, draws and the like
Samples = Annotated[list[Annotated[int, Field(ge=10, le=MOST)] | Literal["all"]], Field(min_length=1)]
ALL: list[int | Literal["all"]] = ["all"]
# A list of numbers that JSON writes as such and Python keeps as a tuple.
AsTuple = Field(strict=False)


class Contradictions(ValueError):
    """Values that are right by themselves and don't go together: each with the keys that it is about, as `a.b`."""

    def __init__(self, faults: list[tuple[tuple[str, ...], str]]):
        self.faults = faults
        super().__init__("; ".join(f"{', '.join(keys)}: {what}" if keys else what for keys, what in faults))


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, and so are values of another type.

    example: how the section is written, for messages; former: keys that had another name, with the name of today.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    example: ClassVar[str] = ""
    former: ClassVar[dict[str, str]] = {}

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


def is_dotted_path(value: object) -> bool:
    """Is this the dotted path of something of one's own? The words that sections list have no colon."""
    return isinstance(value, str) and ":" in value


def keys_of(value: Any) -> Any:
    """The keys of a mapping or of a section, for the choice of a union's branch; None of anything else."""
    if isinstance(value, Section):
        return type(value).model_fields
    return value if isinstance(value, dict) else None


PATTERNS = {NAME: f"a name ({NAME_IN_WORDS})", SESSION: "a text of letters and digits"}
PATTERNS[DOTTED] = "a dotted path `package.module:name`"
PATTERNS[ARRAYS_NAME] = "a name (letters, digits and `-`, beginning with a letter or a digit, 40 at most)"
WORDS = ("format", "source", "kind")
"""Keys whose word says which section a mapping is."""


@dataclass(frozen=True)
class Kind:
    """One kind of value that may stand at a key. type: of Python or `typing`; bounds: such as {"ge": 1}."""

    type: Any
    bounds: dict[str, Any]

    @property
    def is_list(self) -> bool:
        """Whether it is written as a list."""
        return (get_origin(self.type) or self.type) in (list, tuple)

    @property
    def is_mapping(self) -> bool:
        """Whether it is written as a mapping with names of one's own."""
        return get_origin(self.type) is dict

    @property
    def model(self) -> type[BaseModel] | None:
        """The section that it is, if it is one."""
        return self.type if isinstance(self.type, type) and issubclass(self.type, BaseModel) else None

    @property
    def choices(self) -> list[Any]:
        """The values of a `Literal`."""
        return list(get_args(self.type)) if get_origin(self.type) is Literal else []


def kinds(annotation: Any, bounds: dict[str, Any] | None = None) -> list[Kind]:
    """The kinds of values that an annotation allows."""
    if isinstance(annotation, FieldInfo):
        return kinds(annotation.annotation, _bounds(annotation.metadata))
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return kinds(inner, (bounds or {}) | _bounds(metadata))
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in kinds(part, bounds)]
    return [Kind(annotation, bounds or {})]


def kinds_at(annotation: Any, location: Location, content: Any = None) -> list[Kind]:
    """The kinds of values that may stand at `location` below a section; content: what was read there, which tells one
    branch of a union from another."""
    found = kinds(annotation)
    for i, part in enumerate(location):
        here = _content_at(content, location[:i])
        found = [below for kind in _likely(found, here) for below in _below(kind, part)]
    return _likely(found, _content_at(content, location)) if location else found


def keys_allowed(found: list[Kind]) -> list[str]:
    """The keys that may stand in a mapping of one of these kinds."""
    return sorted({key for kind in found if kind.model for key in kind.model.model_fields})


def renamed(found: list[Kind], key: str) -> str:
    """The name of today of a key that a mapping of one of these kinds had; empty where it had none of this name."""
    sections = [kind.model for kind in found if kind.model and issubclass(kind.model, Section)]
    return next((section.former[key] for section in sections if key in section.former), "")


def in_words(found: list[Kind], sections: bool = False) -> str:
    """`a whole number from 1 to 16 or `all`` and the like; sections: whether mappings are called by their sections."""
    return " or ".join(dict.fromkeys(_words(kind, sections) for kind in found)) or "nothing"


def _words(kind: Kind, sections: bool) -> str:
    origin, arguments = get_origin(kind.type) or kind.type, get_args(kind.type)
    if kind.choices:
        return " or ".join(f"`{choice}`" if isinstance(choice, str) else str(choice).lower() for choice in kind.choices)
    if kind.model:
        return kind.model.__name__ if sections else "a mapping"
    if origin is list:
        least = kind.bounds.get("min_length", 0)
        return f"a list{f' of at least {least}' if least > 1 else ''} of {_plural(arguments, sections)}"
    if origin is tuple:
        return f"a list [{', '.join(in_words(kinds(argument)) for argument in arguments)}]"
    if origin is dict:
        return f"a mapping (name: {in_words(kinds(arguments[1]), sections)})"
    if origin is str and kind.bounds.get("pattern") in PATTERNS:
        return PATTERNS[kind.bounds["pattern"]]
    plain = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", NoneType: "null"}
    words = plain.get(origin) or ("a path" if isinstance(origin, type) and issubclass(origin, Path) else "a value")
    return " ".join(filter(None, [words, _range(kind.bounds) if origin in (int, float) else ""]))


def _plural(arguments: tuple[Any, ...], sections: bool) -> str:
    words = in_words(kinds(arguments[0]), sections) if arguments else "values"
    for one, several in (("a whole number", "whole numbers"), ("a number", "numbers"), ("a text", "texts"),
                         ("a path", "paths"), ("a mapping", "mappings"), ("a value", "values")):  # fmt: skip
        words = words.replace(one, several)
    return words


def _range(bounds: dict[str, Any]) -> str:
    ge, gt, le, lt = (bounds.get(key) for key in ("ge", "gt", "le", "lt"))
    low = f"of at least {ge:,}" if ge is not None else f"above {gt:,}" if gt is not None else ""
    high = f"at most {le:,}" if le is not None else f"below {lt:,}" if lt is not None else ""
    if ge is not None and le is not None:
        return f"from {ge:,} to {le:,}"
    return " and ".join(filter(None, [low, high]))


def _bounds(metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, FieldInfo):
            found |= _bounds(item.metadata)
        for key in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            value = getattr(item, key, None)
            if value is not None and not callable(value):
                found[key] = value
    return found


def _below(kind: Kind, part: str | int) -> Iterator[Kind]:
    origin, arguments = get_origin(kind.type) or kind.type, get_args(kind.type)
    if kind.model:
        field = kind.model.model_fields.get(str(part))
        yield from kinds(field) if field else ()
    elif origin is list:
        yield from kinds(arguments[0])
    elif origin is tuple and isinstance(part, int) and part < len(arguments):
        yield from kinds(arguments[part])
    elif origin is dict:
        yield from kinds(arguments[1])


def _likely(found: list[Kind], content: Any) -> list[Kind]:
    """Of several kinds, lists for a list, and of sections those whose own words or required keys the content has; else
    all."""
    if isinstance(content, list):
        return [kind for kind in found if kind.is_list] or found
    if not isinstance(content, dict) or sum(kind.model is not None for kind in found) < 2:
        return found
    marked = [kind for kind in found if kind.model and _marked(kind.model, content)]
    return marked or found


def _marked(model: type[BaseModel], content: dict[Any, Any]) -> bool:
    """Whether a mapping has a section's own word (`format: digits`), or, without such words, its first key."""
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is Literal and field.is_required():
            return name in content and (content[name] in get_args(field.annotation) or name not in WORDS)
    return next(iter(model.model_fields)) in content


def _content_at(content: Any, location: Location) -> Any:
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return None
    return content
