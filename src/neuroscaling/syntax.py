"""What a source file says and what it imports, comments and docstrings aside.

Parsing two hundred files takes most of a second, and each cluster job asks for all of them. So what was read is kept
beside Python's bytecode, under the hash of the file's contents: nothing in there can be out of date.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError
from neuroscaling.files import atomic_path

KEPT = Path(importlib.util.cache_from_source(__file__)).with_suffix(".json")
# Contents in KEPT above which it begins anew: years of edits.
MANY = 5000


class Syntax(NamedTuple):
    """digest: of a file's syntax tree; imports: dotted names that it imports, of modules and of what is in them."""

    digest: str
    imports: list[str]


def read_syntax(paths: list[Path]) -> list[Syntax]:
    """The syntax of files of source code; what is parsed is kept for the processes to come, if it can be written.

    Equal only within one minor version of Python, whose trees differ.
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
    imports = sorted(_imported(tree))
    text = ast.dump(_WithoutDocstrings().visit(tree))
    return Syntax(hashlib.sha256(text.encode()).hexdigest(), imports)


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


class _WithoutDocstrings(ast.NodeTransformer):
    def _strip(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            node.body = body[1:] if isinstance(body[0].value.value, str) else body
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _strip
