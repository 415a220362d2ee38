"""Training recipes by name: read from YAML and checked. Light: imports no torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from neuroscaling.document import read_document
from neuroscaling.errors import Location, Problem, StudyError, listing, nearest
from neuroscaling.paths import find_file
from neuroscaling.training.recipe_schema import Recipe
from neuroscaling.training.recipe_sections import Adversarial, Dino, Simclr, Start
from neuroscaling.validation import validated

__all__ = ["FOLDER", "PROTOCOLS", "Adversarial", "Dino", "Recipe", "Simclr", "Start", "load_recipe", "recipe_file",
           "recipe_names"]  # fmt: skip

FOLDER = Path(__file__).parents[3] / "config" / "recipes"
PROTOCOLS = ("corrected", "parity")
# What `parity` has where the file says nothing, other than `corrected`: averages as published, from the first step on.
PARITY = {"ema_warmup": False}
SECTIONS = {"simclr": Simclr, "dino": Dino, "adversarial": Adversarial, "start": Start}


def recipe_names() -> list[str]:
    """Names of the recipes in config/recipes/."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(
    name_or_path: str, protocol: Literal["corrected", "parity"] = "corrected", study: Path | None = None
) -> Recipe:
    """The recipe of this name in config/recipes/, or in the YAML file at this path.

    protocol: `parity` puts the file's `parity:` section in place of its other keys, to repeat the published study; the
    recipe that is returned says what happens, without that section. study: the file from whose folders a path is looked
    up too. Raises StudyError with every fault of the file at once (of both protocols), or with the nearest name where
    there is no such recipe.
    """
    if protocol not in PROTOCOLS:
        near = nearest(protocol, PROTOCOLS)
        raise StudyError(Problem("unknown protocol", "protocol", protocol, ", ".join(PROTOCOLS), near))
    known = recipe_names()
    if not _is_path(name_or_path) and name_or_path not in known:
        where = listing(known) + ", or the path of a YAML file"
        near = nearest(name_or_path, known)
        raise StudyError(Problem("unknown recipe", value=name_or_path, allowed=where, nearest=near))
    return _both(recipe_file(name_or_path, study))[protocol]


def recipe_file(name_or_path: str, study: Path | None = None) -> Path:
    """Where a recipe is: `digits` in config/recipes/, `mine.yaml` as `paths.find_file` finds it."""
    return find_file(Path(name_or_path), study) if _is_path(name_or_path) else FOLDER / f"{name_or_path}.yaml"


def _is_path(name_or_path: str) -> bool:
    return Path(name_or_path).suffix in (".yaml", ".yml")


def _both(path: Path) -> dict[str, Recipe]:
    """The recipe of a file under each protocol; the faults of both are raised, each once."""
    document = read_document(path, "recipe", "a YAML file in UTF-8, in config/recipes/ or where the study is")
    content = {} if document.content is None else document.content
    if not isinstance(content, dict):
        raise StudyError(Problem("a recipe is a list of `key: value`", str(path), content))
    own = {key: value for key, value in content.items() if key != "parity"}
    overlay = content.get("parity") or {}
    if not isinstance(overlay, dict):
        where = document.at(("parity",))
        raise StudyError(Problem("`parity:` is a list of `key: value`", where, overlay))
    recipes, problems = {}, {}
    for protocol, settings in (("corrected", own), ("parity", PARITY | _merged(own, overlay))):
        lines = document.lines | (_overlaid(document.lines) if protocol == "parity" else {})
        named = replace(document, content={"name": path.stem, **settings}, lines=lines)
        recipe, _, faults = validated(Recipe, named)
        recipes[protocol] = recipe
        problems |= {str(problem): problem for problem in named.problems(faults)}
    if problems:
        raise StudyError(problems.values())
    return recipes


def _overlaid(lines: dict[Location, int]) -> dict[Location, int]:
    """The lines of what `parity:` says, at the places of what it replaces."""
    return {place[1:]: line for place, line in lines.items() if place[:1] == ("parity",) and len(place) > 1}


def _merged(content: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`content` with the keys of `overlay` in place of its own, section by section."""
    merged = dict(content)
    for key, value in overlay.items():
        own = content.get(key)
        inner = key in SECTIONS and isinstance(value, dict) and isinstance(own, dict)
        merged[key] = own | value if inner else value
    return merged
