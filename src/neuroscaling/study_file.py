"""Reading a study file: YAML, variables, pydantic; every fault of the file becomes a Problem."""

import os
import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from neuroscaling.config import Study
from neuroscaling.errors import Problem, StudyError, nearest
from neuroscaling.yaml_text import load_yaml

DATASETS = {"digits", "imagefolder", "filelist", "places365", "inaturalist", "infimnist", "webdataset"}
BRANCHES = {*DATASETS, "algonauts2023", "v4", "int", "literal['all']", "list[str]", "str"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


def read_study_file(path: str | Path) -> Study:
    """The validated study of the YAML file at `path`.

    Raises StudyError with all problems of the file at once: YAML syntax, unset variables, unknown keys, wrong values.
    """
    path = Path(path)
    raw, problems = _expand(_read_yaml(path), str(path))
    study, faults = validate(Study, raw, str(path))
    if problems or faults:
        raise StudyError(problems + faults)
    return study


def validate(model: type[BaseModel], raw: Any, file: str) -> tuple[Any, list[Problem]]:
    """`raw` as a `model`, or None; and what is wrong with it, one Problem for each fault."""
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        problems = [_problem(fault, model, file) for fault in error.errors()]
        # A value that fits no branch of a union (a number or `all`) is one fault, not one for each branch.
        return None, list(
            {(p.where, p.what if p.what == "unknown key" else repr(p.value)): p for p in problems}.values()
        )


def _read_yaml(path: Path) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            return load_yaml(file)
    except FileNotFoundError as error:
        others = sorted(str(p) for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise StudyError(
            Problem("study file is missing", str(path), nearest=nearest(path, others), fix="give --config study=FILE")
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        what = f"not a readable study file ({error.strerror if isinstance(error, OSError) else 'no text'})"
        raise StudyError(Problem(what, str(path), fix="give --config study=FILE, a YAML file")) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise StudyError(Problem("not valid YAML", where, str(getattr(error, "problem", error)))) from error


def _expand(value: Any, where: str) -> tuple[Any, list[Problem]]:
    """Replace $NAME, ${NAME}, ${NAME:-default} and a leading ~/ in all strings; unset variables are problems."""
    if isinstance(value, dict):
        pairs = {key: _expand(item, f"{where}: {key}") for key, item in value.items()}
        return {k: v for k, (v, _) in pairs.items()}, [p for _, found in pairs.values() for p in found]
    if isinstance(value, list):
        items = [_expand(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return [v for v, _ in items], [p for _, found in items for p in found]
    if not isinstance(value, str):
        return value, []
    problems: list[Problem] = []

    def replace(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        found = os.environ.get(name) or default
        if found is None:
            problems.append(Problem(f"the variable ${name} is not set", where, value, fix=f"export {name}=..."))
        return found or ""

    expanded = VARIABLE.sub(replace, value)
    return (os.path.expanduser(expanded) if expanded.startswith("~/") else expanded), problems


def _problem(fault: Any, model: type[BaseModel], file: str) -> Problem:
    place = _place(fault["loc"])
    where = f"{file}: {place}" if place else file
    if fault["type"] == "extra_forbidden":
        key, allowed = str(fault["loc"][-1]), _keys_at(model, fault["loc"][:-1])
        return Problem("unknown key", where, key, ", ".join(allowed), nearest(key, allowed), "correct or delete it")
    if fault["type"] == "missing":
        return Problem("key is missing", where, fix=f"add `{fault['loc'][-1]}:`")
    found = fault["ctx"]["tag"] if fault["type"] == "union_tag_invalid" else fault["input"]
    return Problem(_sentence(fault), where, found, *_allowed(fault, found))


def _sentence(fault: Any) -> str:
    if fault["type"] == "union_tag_invalid":
        return f"unknown {fault['ctx']['discriminator'].strip(chr(39))}"
    return str(fault["msg"]).removeprefix("Value error, ").rstrip(".")


def _allowed(fault: Any, found: Any) -> tuple[str, str]:
    """Allowed values and the nearest of them, where pydantic knows them."""
    context = fault.get("ctx") or {}
    expected = str(context.get("expected") or context.get("expected_tags") or "")
    choices = re.findall(r"'([^']+)'", expected)
    return (", ".join(choices), nearest(found, choices)) if choices else (expected, "")


def _is_tag(part: Any) -> bool:
    """Whether a part of pydantic's location names a branch of a union and no key of the file."""
    return isinstance(part, str) and (part.startswith("<") or part in BRANCHES)


def _place(location: tuple[Any, ...]) -> str:
    """`runs[0].archs` from pydantic's location."""
    place = ""
    for part in location:
        if isinstance(part, int):
            place += f"[{part}]"
        elif not _is_tag(part):
            place += f".{part}" if place else str(part)
    return place


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that may stand at `location` below `model`."""
    candidates: list[type[BaseModel]] = [model]
    for part in location:
        if _is_tag(part):
            key = part.strip("<>")
            candidates = [c for c in candidates if key in c.model_fields or key in _literals(c)] or candidates
        elif not isinstance(part, int):
            fields = [c.model_fields[part] for c in candidates if part in c.model_fields]
            candidates = [m for field in fields for m in _models_in(field.annotation)] or candidates
    return sorted({key for candidate in candidates for key in candidate.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in get_args(annotation) for m in _models_in(argument)]


def _literals(model: type[BaseModel]) -> set[Any]:
    return {value for field in model.model_fields.values() for value in get_args(field.annotation)}
