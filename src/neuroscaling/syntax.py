"""What a source file says and what it imports, comments and docstrings aside.

Parsing two hundred files takes most of a second, and each cluster job asks for all of them. So what was read is kept
beside Python's bytecode, under the hash of the file's contents: nothing in there can be out of date.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError
from neuroscaling.files import atomic_path

KEPT = Path(importlib.util.cache_from_source(__file__)).with_suffix(".json")
# Contents in KEPT above which it begins anew: years of edits.
MANY = 5000
WITH_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# What follows from a node's place, or is a remark: whether a name is read or written, `u` before a text.
LEFT_OUT = {"ctx", "type_comment", "type_ignores", "kind"}


class Syntax(NamedTuple):
    """digest: of a file's syntax tree; imports: dotted names that it imports, of modules and of what is in them."""

    digest: str
    imports: list[str]


def read_syntax(paths: list[Path]) -> list[Syntax]:
    """The syntax of files of source code; what is parsed is kept for the processes to come, if it can be written.

    Equal in every Python that can read them.
    Raises OSError where there is no file, SyntaxError where Python can't read it.
    """
    sources = [path.read_bytes() for path in paths]
    keys = [hashlib.sha256(source).hexdigest() for source in sources]
    new = {key: _parsed(source) for key, source in zip(keys, sources, strict=True) if key not in _kept()}
    if new:
        _kept().update(new)
        _keep()
    return [_kept()[key] for key in keys]


@cache
def _kept() -> dict[str, Syntax]:
    """Syntax by the hash of a file's contents; empty where nothing was kept by this very reader."""
    try:
        with reading(KEPT, "kept syntax"):
            found = json.loads(KEPT.read_text(encoding="utf-8"))
            same = found["reader"] == _reader() and len(found["files"]) < MANY
            return {key: Syntax(*value) for key, value in found["files"].items()} if same else {}
    except DataError:
        return {}


def _keep() -> None:
    with contextlib.suppress(DataError, OSError), atomic_path(KEPT) as temporary:
        temporary.write_text(json.dumps({"reader": _reader(), "files": _kept()}), encoding="utf-8")


@cache
def _reader() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _parsed(source: bytes) -> Syntax:
    tree = ast.parse(source)
    return Syntax(hashlib.sha256(canonical(tree).encode()).hexdigest(), sorted(_imported(tree)))


def canonical(tree: ast.AST) -> str:
    """A syntax tree as text that every version of Python writes alike; without docstrings and positions.

    A node is the name of its class and those of its fields that are not empty, so that a field which a newer Python
    adds counts where it is used. `ast.dump` has changed with the versions, and tells the empty ones too.
    """
    parts: list[str] = []
    _write(tree, parts.append)
    return "".join(parts)


def _write(value: Any, put: Callable[[str], None]) -> None:
    if isinstance(value, list):
        put("[")
        for item in value:
            _write(item, put)
            put(",")
        put("]")
    elif isinstance(value, ast.Constant):
        put(f"'{value.value!a}'")  # ASCII: which characters repr prints as they are depends on Python's Unicode
    elif isinstance(value, ast.AST):
        put(type(value).__name__)
        put("(")
        for name, content in _fields(value):
            if content is not None and content != []:
                put(name)
                put("=")
                _write(content, put)
                put(";")
        put(")")
    else:
        put(f"{value!a}")


def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    for name in node._fields:
        if name in LEFT_OUT:
            continue
        content = getattr(node, name, None)
        if name == "body" and isinstance(node, WITH_DOCSTRINGS):
            content = content[1:] if ast.get_docstring(node, clean=False) is not None else content
        elif name == "values" and isinstance(node, ast.JoinedStr):
            content = _joined(content)
        yield name, content


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string, neighbouring texts as one and none empty: versions of Python cut them differently."""
    parts: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
            parts[-1] = ast.Constant(parts[-1].value + value.value)
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            parts.append(value)
    return parts


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names
