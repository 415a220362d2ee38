"""A dotted path, `package.module:name`, leads to something of the user's own outside this package.

It is found without an import of its module, so that a file that names it is checked in no time.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import Problem, StudyError, nearest

RENAME = "give the module another name"


@dataclass(frozen=True)
class DottedPath:
    """name: as it was written; module and attribute: its two parts; file: of the module."""

    name: str
    module: str
    attribute: str
    file: Path


def find_path(path: str, kind: str, form: str, name: str = "") -> DottedPath:
    """What a dotted path names, without an import of its module; kind: what it should be, such as `function`.

    The module is looked for where Python imports from, and in the current directory. form: how such a path is written;
    name: as it was written here, where that is more than the path; both are for messages. Raises StudyError that names
    the part of the path which is wrong or missing.
    """
    name = name or path
    module, _, attribute = path.partition(":")
    parts = module.split(".")
    if not all(part.isidentifier() for part in [*parts, attribute]):
        raise StudyError(Problem(what=f"not the dotted path of a {kind}", value=name, allowed=form))
    file = _file(parts)
    if file is None:
        what, fix = f"no module `{module}`", "start where it lies, or name its folder in PYTHONPATH"
        raise StudyError(Problem(what=what, value=name, allowed=form, fix=fix))
    defined = sorted(set(_top_level(file)))
    if attribute not in defined and "*" not in defined:
        near = nearest(attribute, defined)
        raise StudyError(
            Problem(what=f"no {kind} `{attribute}` in this module", where=str(file), value=name, nearest=near)
        )
    return DottedPath(name, module, attribute, file)


def load_path(found: DottedPath) -> Any:
    """What the path names, imported; None where the module doesn't have it after all.

    Raises StudyError where the import fails, or gives another module of this name.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(found.module)
    except Exception as error:  # whatever the module raises
        what = f"the module can't be imported: {type(error).__name__}: {error}"
        raise StudyError(Problem(what=what, where=str(found.file), value=found.name)) from error
    if Path(module.__file__ or "").resolve() != found.file.resolve():
        what = f"another module of this name is imported: {module.__file__}"
        raise StudyError(Problem(what=what, where=str(found.file), value=found.name, fix=RENAME))
    return getattr(module, found.attribute, None)


def _file(parts: list[str]) -> Path | None:
    """The file of a dotted module, found package by package."""
    places: list[str] | None = [*sys.path, str(Path.cwd())]
    found = None
    for i in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: i + 1]), places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
        found = Path(spec.origin) if spec.origin and spec.has_location else None
    return found


def _top_level(file: Path) -> Iterator[str]:
    """Names that a module defines, assigns or imports at its top; `*` where it imports all of another."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise StudyError(Problem(what=f"not Python: {error}", where=str(file))) from error
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inside = (part for target in targets for part in ast.walk(target))  # of `first, second = ...` too
            yield from (part.id for part in inside if isinstance(part, ast.Name))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.ExceptHandler | ast.With):
            inner = [*node.body, *getattr(node, "handlers", []), *getattr(node, "orelse", [])]
            yield from _statements(inner)
