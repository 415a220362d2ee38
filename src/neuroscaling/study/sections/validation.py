"""What a file says becomes sections of pydantic, and every fault a message in our words with its place."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from neuroscaling.core.errors import Fault, Location, Problem, nearest
from neuroscaling.study.sections.key_types import (
    NAME_IN_WORDS,
    SHAPE_ONLY,
    Kind,
    Section,
    in_words,
    keys_allowed,
    kinds_at,
    renamed,
)
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import Document, beneath, read_document

Model = TypeVar("Model", bound=BaseModel)
SHOWN = 60
ROUNDS = 50
NUMBER = re.compile(r"[-+]?[0-9][0-9_,]*")
YES_AND_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True)
class Contradiction(Fault):
    """A fault between several values, at the locations `of`."""

    of: tuple[Location, ...] = ()


def validated(
    model: type[Model], document: Document, stand_ins: dict[str, Any] | None = None
) -> tuple[Model | None, Document, list[Fault]]:
    """What can be used of a document, as a `model`, and as a document of its own; and all that is wrong with it.

    With nothing wrong the first two are the whole document. The faults of the YAML itself are among the faults.
    stand_ins: values for keys that are needed, where their own are faulty.
    """
    faults = list(document.faults)
    shaped, left = _shaped(model, document), document
    found = None if isinstance(shaped, list) else shaped
    if faults or isinstance(shaped, list):
        known = {fault.location for fault in faults}
        faults += [fault for fault in shaped if fault.location not in known] if isinstance(shaped, list) else []
        found, left = partial(model, document, {fault.location for fault in faults}, stand_ins)
    if found is not None:
        places = {fault.location for fault in faults}
        faults += [fault for fault in contradictions(found, left) if not _touches(fault, places)]
    return found, left, faults


def partial(
    model: type[Model], document: Document, faulty: set[Location], stand_ins: dict[str, Any] | None = None
) -> tuple[Model | None, Document]:
    """What is left of a document without the values at `faulty` (in the file), as a `model`; None where nothing is.

    What can't do without one of them goes too: a section without a required key, an empty list. Contradictions
    between keys are not looked at.
    """
    dropped = set(faulty)
    for _ in range(ROUNDS):
        if () in dropped:
            break
        left = document.without(dropped)
        if isinstance(left.content, dict):
            left = replace(left, content=(stand_ins or {}) | left.content)
        found = _shaped(model, left)
        if not isinstance(found, list):
            return found, left
        dropped |= {_spared(left.in_file(fault.location), document.content, frozenset(dropped)) for fault in found}
    return None, document


def _spared(place: Location, content: Any, dropped: frozenset[Location]) -> Location:
    """What to leave out next: what is missing, or was left out, takes with it what it is part of."""
    while place and (place in dropped or not _is_there(content, place)):
        place = place[:-1]
    return place


def contradictions(section: BaseModel, document: Document, place: Location = ()) -> Iterator[Contradiction]:
    """The contradictions of a section and of all within it; its places are those of `document`."""
    if isinstance(section, Section):
        for names, what in section.contradictions():
            locations = [(*place, *name.split(".")) for name in names]
            at = locations[0] if len(names) == 1 else place
            yield Contradiction(document.in_file(at), Problem(what=what), None, tuple(map(document.in_file, locations)))
    for name in type(section).model_fields:
        yield from _contradictions_in(getattr(section, name), document, (*place, name))


def _contradictions_in(value: Any, document: Document, place: Location) -> Iterator[Contradiction]:
    if isinstance(value, BaseModel):
        yield from contradictions(value, document, place)
    elif isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, BaseModel | dict | list | tuple):
                yield from _contradictions_in(item, document, (*place, key))


def _touches(fault: Contradiction, locations: set[Location]) -> bool:
    """Whether a contradiction may come of what was left out."""
    return any(any(beneath(key, locations)) or any(key[: len(o)] == o for o in locations) for key in fault.of)


def _shaped(model: type[Model], document: Document) -> Model | list[Fault]:
    """The document as a `model`, or what is wrong with its values one by one, at places in `document.content`."""
    try:
        return model.model_validate(document.content, context={SHAPE_ONLY: True})
    except ValidationError as error:
        by_place: dict[Location, list[Any]] = {}
        for fault in error.errors():
            by_place.setdefault(_location(fault, document.content), []).append(fault)
        above = {place[:n] for place in by_place for n in range(len(place))}
        return [
            Fault(place, _problem(place, faults, model, document))
            for place, faults in by_place.items()
            if not (place in above and _is_other_branch(faults))
        ]


def _is_other_branch(faults: list[Any]) -> bool:
    """Whether a list or a mapping is only told not to be the word that might stand there too: an item is at fault."""
    return all(fault["type"] == "literal_error" or fault["type"].endswith("_type") for fault in faults)


def _location(fault: Any, content: Any) -> Location:
    """Where in the file a fault is: pydantic's location without the branches of unions."""
    place: Location = ()
    for i, part in enumerate(fault["loc"]):
        is_last = i == len(fault["loc"]) - 1
        if isinstance(content, dict | list) and _has(content, part):
            place, content = (*place, part), content[part]
        elif is_last and fault["type"] in ("missing", "extra_forbidden") and isinstance(content, dict):
            place = (*place, part)
    return place


def _has(content: Any, part: Any) -> bool:
    return part in content if isinstance(content, dict) else isinstance(part, int) and part < len(content)


def _problem(place: Location, faults: list[Any], model: type[BaseModel], document: Document) -> Problem:
    content = document.content
    first, *_ = sorted(faults, key=lambda fault: fault["type"] != "value_error")
    allowed = kinds_at(model, place, content)
    value = first["input"]
    match first["type"]:
        case "extra_forbidden":
            sections = kinds_at(model, place[:-1], content)
            known, key = keys_allowed(sections), str(place[-1])
            now = renamed(sections, key)
            return Problem(
                what="unknown key",
                value=key,
                allowed=", ".join(known),
                nearest=now or nearest(key, known),
                fix=f"write `{now}:` in its place" if now else "correct or delete it",
            )
        case "missing":
            if isinstance(first["loc"][-1], int):
                return _not_allowed(place, allowed, _at(content, place))
            return Problem(what="key is missing", allowed=in_words(allowed), fix=f"add `{place[-1]}:`")
        case "union_tag_not_found" if isinstance(value, dict):
            key = first["ctx"]["discriminator"].strip("'")
            choices = _choices(allowed, key)
            return Problem(what=f"`{key}` is missing", allowed=", ".join(choices), fix=f"add `{key}:`")
        case "union_tag_invalid":
            key, tag = first["ctx"]["discriminator"].strip("'"), first["ctx"]["tag"]
            choices = [name.strip(" '") for name in first["ctx"]["expected_tags"].split(",")]
            return Problem(what=f"unknown {key}", value=tag, allowed=", ".join(choices), nearest=nearest(tag, choices))
        case "value_error":
            return Problem(what=str(first["ctx"]["error"]).rstrip("."), value=value)
        case _ if first["loc"] and first["loc"][-1] == "[key]":
            what = "must be a name" if isinstance(place[-1], str) else "the name must be a text"
            fix = "" if isinstance(place[-1], str) else f"write '{place[-1]}': in quotes"
            return Problem(what=f"{what} ({NAME_IN_WORDS})", value=place[-1], fix=fix)
    return _not_allowed(place, allowed, value)


def _not_allowed(place: Location, allowed: list[Kind], value: Any) -> Problem:
    choices = [choice for kind in allowed for choice in kind.choices]
    near = nearest(value, choices) if isinstance(value, str) else ""
    what = f"must be {in_words(allowed)}, not {_shown(value)}"
    return Problem(what=what, value=value, nearest=near, fix=_fix(place, allowed, value))


def _shown(value: Any) -> str:
    """A value and what it was read as."""
    if value is None:
        return "null (nothing)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple) and (not value or any(isinstance(item, dict | list) for item in value)):
        return "a list" if value else "an empty list"
    text = str(value) if len(str(value)) <= SHOWN else f"{str(value)[:SHOWN]}..."
    return f"the text `{text}`" if isinstance(value, str) else text


def _fix(place: Location, allowed: list[Kind], value: Any) -> str:
    """What to write in place of a common slip."""
    key = next((str(part) for part in reversed(place) if isinstance(part, str)), "")
    types = {kind.type for kind in allowed}
    examples = [kind.model.example for kind in allowed if kind.model and getattr(kind.model, "example", "")]
    if any(kind.is_list for kind in allowed) and isinstance(value, dict) and value:
        return f"a list has `- ` before each entry: `{key}: [{{{next(iter(value))}: ...}}]`"
    if any(kind.is_list for kind in allowed) and isinstance(value, str | int | float) and not isinstance(value, bool):
        inner = [kind for part in allowed if part.is_list for kind in kinds_at(part.type, (0,))]
        inside = [kind.model.example for kind in inner if kind.model and getattr(kind.model, "example", "")]
        return f"write `{key}: [{inside[0] if inside else value}]`"
    if examples and not isinstance(value, dict):
        return "write " + " or ".join(f"`{_entry(place)}{example}`" for example in dict.fromkeys(examples[:4]))
    alone = value[0] if isinstance(value, list) and len(value) == 1 else value
    if any(kind.is_mapping for kind in allowed):
        return f"write `{key}: {{{alone}: ...}}`" if isinstance(alone, str) else ""
    if isinstance(value, list) and isinstance(alone, str | int | float):
        return f"write `{key}: {alone}`"
    return _fix_of_scalar(types, value)


def _fix_of_scalar(types: set[Any], value: Any) -> str:
    if isinstance(value, str) and types & {int, float} and NUMBER.fullmatch(value):
        digits = re.sub("[_,]", "", value)
        return f"write {re.sub('(?<![0-9])0+(?=[0-9])', '', digits)} without quotes"
    if isinstance(value, float) and int in types and value.is_integer() and abs(value) < 1e15:
        return f"write {int(value)}"
    if isinstance(value, str) and bool in types and value.lower() in YES_AND_NO:
        return f"write {YES_AND_NO[value.lower()]}"
    if str in types and isinstance(value, int | float) and not isinstance(value, bool):
        return f"write '{value}' in quotes"
    return ""


def _entry(place: Location) -> str:
    return f"{place[-1]}: " if place and isinstance(place[-1], str) else "- "


def _choices(allowed: list[Kind], key: str) -> list[str]:
    """The words of a union's branches, such as the formats of a data set."""
    models = [kind.model for kind in allowed if kind.model and key in kind.model.model_fields]
    return [str(choice) for model in models for kind in kinds_at(model, (key,)) for choice in kind.choices]


def _at(content: Any, place: Location) -> Any:
    for part in place:
        content = content[part]
    return content


def _is_there(content: Any, place: Location) -> bool:
    for part in place:
        if not isinstance(content, dict | list) or not _has(content, part):
            return False
        content = _at(content, (part,))
    return True


STAND_INS = {"study": "unnamed"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


def read_study_parts(path: str | Path) -> tuple[Study | None, Document, list[Fault]]:
    """What can be used of a study file, its document, and what is wrong with it: see `validation.validated`.

    Raises StudyError where the file is missing or no YAML.
    """
    fix = "name a YAML file, such as config/studies/demo.yaml; `neuroscaling init` writes one"
    document = read_document(path, "study file", fix, replaced)
    return validated(Study, document, STAND_INS)


def replaced(text: str) -> tuple[str, list[Problem]]:
    """A text with $NAME, ${NAME}, ${NAME:-default} and a leading ~/ replaced; unset variables are problems."""
    problems: list[Problem] = []

    def replace(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        found = os.environ.get(name) or default
        if found is None:
            problems.append(Problem(what=f"the variable ${name} is not set", value=text, fix=f"export {name}=..."))
        return found or ""

    expanded = VARIABLE.sub(replace, text)
    return (os.path.expanduser(expanded) if expanded.startswith("~/") else expanded), problems
