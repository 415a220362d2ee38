"""Networks of one's own by dotted path: `package.module:function`, or `package.module:function@SIZE`. Light.

The module is found without being imported, so that a study is read in no time; `load` imports it.
"""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from neuroscaling.errors import Problem, StudyError, nearest
from neuroscaling.hashing import file_sha256

FAMILY = "own"
INPUT_SIZE = 224
SIZE = re.compile("[1-9][0-9]{0,4}")
FORM = "package.module:function or package.module:function@SIZE, SIZE in pixels"


@dataclass(frozen=True)
class Dotted:
    """A network of one's own: module and function of a dotted path, the module's file, pixels of each side."""

    name: str
    module: str
    function: str
    file: Path
    input_size: int


def is_dotted(name: str) -> bool:
    """Is this the dotted path of a function, and not the name of an architecture?"""
    return ":" in name


def find(name: str) -> Dotted:
    """The function that a dotted path names, without importing its module.

    Looked for where Python imports from, and in the current directory. Raises StudyError that says which part of the
    path is wrong or missing.
    """
    path, at, size = name.partition("@")
    module, _, function = path.partition(":")
    parts = module.split(".")
    if not all(part.isidentifier() for part in [*parts, function]) or (at and not SIZE.fullmatch(size)):
        raise StudyError(Problem("not the dotted path of a function", value=name, allowed=FORM))
    file = _file(parts)
    if file is None:
        what, fix = f"no module `{module}`", "start where it lies, or name its folder in PYTHONPATH"
        raise StudyError(Problem(what, value=name, allowed=FORM, fix=fix))
    defined = sorted(set(_top_level(file)))
    if function not in defined and "*" not in defined:
        near = nearest(function, defined)
        raise StudyError(Problem(f"no function `{function}` in this module", str(file), name, nearest=near))
    return Dotted(name, module, function, file, int(size) if at else INPUT_SIZE)


def known(name: str) -> bool:
    """Does a dotted path lead to a function?"""
    try:
        find(name)
    except StudyError:
        return False
    return True


def source(name: str) -> str:
    """sha256 of the file of the module: an edited module makes other networks. What it imports is not followed."""
    return file_sha256(find(name).file)


def load(name: str) -> Callable[..., Any]:
    """The function, imported. Raises StudyError where that fails, or the function doesn't take `num_classes`."""
    found = find(name)
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(found.module)
    except Exception as error:  # whatever the module raises
        what = f"the module can't be imported: {type(error).__name__}: {error}"
        raise StudyError(Problem(what, str(found.file), name)) from error
    if Path(module.__file__ or "").resolve() != found.file.resolve():
        what = f"another module of this name is imported: {module.__file__}"
        raise StudyError(Problem(what, str(found.file), name, fix="give the module another name"))
    function = getattr(module, found.function, None)
    if not callable(function):
        raise StudyError(Problem(f"`{found.function}` is not a function", str(found.file), name))
    try:
        inspect.signature(function).bind(num_classes=1000)
    except TypeError as error:
        what, allowed = f"the function can't be called: {error}", f"{found.function}(num_classes=...)"
        raise StudyError(Problem(what, str(found.file), name, allowed)) from error
    return function


def make(name: str, num_classes: int) -> Any:
    """The network with `num_classes` outputs. Raises StudyError where the function gives something else."""
    from torch import nn

    model = load(name)(num_classes=num_classes)
    if not isinstance(model, nn.Module):
        what = f"the function gives `{type(model).__name__}`"
        raise StudyError(Problem(what, str(find(name).file), name, "a torch.nn.Module"))
    return model


def _file(parts: list[str]) -> Path | None:
    """The file of a dotted module, found package by package."""
    places: list[str] | None = [*sys.path, str(Path.cwd())]
    for i in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: i + 1]), places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec.origin and spec.has_location else None


def _top_level(file: Path) -> Iterator[str]:
    """Names that a module defines, assigns or imports at its top; `*` where it imports all of another."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise StudyError(Problem(f"not Python: {error}", str(file))) from error
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
