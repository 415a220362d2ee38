"""Training recipes by name: read from YAML and checked. Light: imports no torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from neuroscaling.errors import Problem, StudyError, listing, nearest
from neuroscaling.training.recipe_checks import Contradictions
from neuroscaling.training.recipe_schema import Recipe
from neuroscaling.training.recipe_sections import Adversarial, Dino, Simclr, Start
from neuroscaling.yaml_text import load_yaml

__all__ = ["FOLDER", "PROTOCOLS", "Adversarial", "Dino", "Recipe", "Simclr", "Start", "load_recipe", "recipe_names"]

FOLDER = Path(__file__).parents[3] / "config" / "recipes"
PROTOCOLS = ("corrected", "parity")
# What `parity` has where the file says nothing, other than `corrected`: averages as published, from the first step on.
PARITY = {"ema_warmup": False}
SECTIONS = {"simclr": Simclr, "dino": Dino, "adversarial": Adversarial, "start": Start}


def recipe_names() -> list[str]:
    """Names of the recipes in config/recipes/."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name_or_path: str, protocol: Literal["corrected", "parity"] = "corrected") -> Recipe:
    """The recipe of this name in config/recipes/, or in the YAML file at this path.

    protocol: `parity` puts the file's `parity:` section in place of its other keys, to repeat the published study; the
    recipe that is returned says what happens, without that section. Raises StudyError with every fault of the file at
    once (of both protocols), or with the nearest name where there is no such recipe.
    """
    if protocol not in PROTOCOLS:
        near = nearest(protocol, PROTOCOLS)
        raise StudyError(Problem("unknown protocol", "protocol", protocol, ", ".join(PROTOCOLS), near))
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = recipe_names()
        where = listing(known) + ", or the path of a YAML file"
        raise StudyError(
            Problem("unknown recipe", value=name_or_path, allowed=where, nearest=nearest(name_or_path, known))
        )
    return _both(path, _content(path))[protocol]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(Problem(f"not a readable recipe: {error}", str(path), fix="a YAML file in UTF-8")) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise StudyError(Problem("not valid YAML", where, str(getattr(error, "problem", error)))) from error
    if not isinstance(content, dict):
        raise StudyError(Problem("a recipe is a list of `key: value`", str(path), content))
    return content


def _both(path: Path, content: dict[str, Any]) -> dict[str, Recipe]:
    """The recipe of a file under each protocol; the faults of both are raised, each once."""
    overlay = content.pop("parity", None) or {}
    if not isinstance(overlay, dict):
        raise StudyError(Problem("`parity:` is a list of `key: value`", str(path), overlay))
    recipes, problems = {}, {}
    for protocol, settings in (("corrected", content), ("parity", PARITY | _merged(content, overlay))):
        try:
            recipes[protocol] = Recipe.model_validate({"name": path.stem, **settings})
        except ValidationError as error:
            problems |= {str(problem): problem for problem in _problems(path, error)}
    if problems:
        raise StudyError(problems.values())
    return recipes


def _merged(content: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`content` with the keys of `overlay` in place of its own, section by section."""
    merged = dict(content)
    for key, value in overlay.items():
        own = content.get(key)
        inner = key in SECTIONS and isinstance(value, dict) and isinstance(own, dict)
        merged[key] = own | value if inner else value
    return merged


def _problems(path: Path, error: ValidationError) -> Iterator[Problem]:
    """One problem for each faulty key, however many types it might have had."""
    faults: dict[str, list[dict]] = {}
    for fault in error.errors():
        raised = fault.get("ctx", {}).get("error")
        if isinstance(raised, Contradictions):
            yield from (Problem(what, f"{path}: {key}") for key, what in raised.faults)
        else:
            faults.setdefault(".".join(_keys(fault)), []).append(fault)
    yield from (_problem(path, key, of_key) for key, of_key in faults.items())


def _keys(fault: dict) -> list[str]:
    """The keys that lead to a fault, without what pydantic adds for each type that a value might have had."""
    keys = [str(part) for part in fault["loc"]]
    field = Recipe.model_fields.get(keys[0]) if keys else None
    return keys[:1] if field and _words(field.annotation) else keys[:2]


def _problem(path: Path, key: str, faults: list[dict]) -> Problem:
    where, (first, *rest) = f"{path}: {key}" if key else str(path), key.split(".")
    model: type[BaseModel] = SECTIONS[first] if rest and first in SECTIONS else Recipe
    name = rest[0] if model is not Recipe else first
    if faults[0]["type"] == "extra_forbidden":
        fields = list(model.model_fields)
        return Problem("unknown key", where, allowed=listing(fields, 60), nearest=nearest(name, fields))
    field = model.model_fields.get(name)
    if field and faults[0]["type"] == "missing" and isinstance(faults[0]["input"], dict):
        return Problem("key is missing", where, allowed=field.description or "")
    value = faults[0]["input"] if key else None
    near = nearest(value, _words(field.annotation)) if field and isinstance(value, str) else ""
    what = ", or: ".join(str(fault.get("ctx", {}).get("error", fault["msg"])) for fault in faults)
    return Problem(what, where, value, field.description or "" if field else "", near)


def _words(annotation: Any) -> list[str]:
    """The words that a key of this type may have."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return [word for part in get_args(annotation) for word in _words(part)]
