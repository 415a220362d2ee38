"""A fingerprint of the code behind a result, so that a changed formula reruns what it touches and a comment nothing.

Snakemake sees edits of a script but not of the library it calls; and it can't tell a comment from a formula.
"""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = "neuroscaling"
SOURCE = Path(__file__).parent
# Packages that load the files of their folder by listing it.
LISTED = {"laws/forms/__init__.py"}
# Modules that say how a job reports and not what it computes.
SILENT = {"errors", "logs", "provenance", "code", "config", "study", "study_file", "runs", "paths"}


def code_fingerprint(script: str | Path, digits: int = 12) -> str:
    """Hash of the syntax trees of `script` and of all modules of this package that it imports, directly or not.

    Comments, docstrings and layout don't count. Equal only within one minor version of Python, whose trees differ.
    """
    parts = {"script": _parsed(Path(script))}
    todo = list(parts["script"].imports)
    while todo:
        module = todo.pop()
        if module not in parts:
            parts[module] = _parsed(SOURCE / module)
            todo += parts[module].imports
    text = "\n".join(f"{name} {part.digest}" for name, part in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


@dataclass(frozen=True)
class Parsed:
    """digest: of a file's syntax tree; imports: files of this package that it imports, relative to the package."""

    digest: str
    imports: frozenset[str]


@cache
def _parsed(path: Path) -> Parsed:
    """A file is parsed once: every cluster job does this again, for some two hundred files."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = frozenset(_imports(tree))
    text = ast.dump(_WithoutDocstrings().visit(tree))
    return Parsed(hashlib.sha256(text.encode()).hexdigest(), imports)


def _imports(tree: ast.AST) -> set[str]:
    """Files of this package that are imported anywhere in `tree`, relative to the package."""
    files: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            files |= {file for alias in node.names for file in _files(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module:
            files |= set(_files(node.module))
            files |= {file for alias in node.names for file in _files(f"{node.module}.{alias.name}")}
    return files


@cache
def _files(module: str) -> list[str]:
    """The files of a dotted module of this package; none for other packages, names and silent modules."""
    parts = module.split(".")
    if parts[0] != PACKAGE or (len(parts) > 1 and parts[1] in SILENT):
        return []
    stem = Path(*parts[1:])
    candidates = [stem.with_suffix(".py")] if parts[1:] else []
    candidates += [Path(*parts[1 : i + 1]) / "__init__.py" for i in range(1, len(parts))]
    candidates += [
        file.relative_to(SOURCE)
        for c in candidates
        if str(c) in LISTED
        for file in sorted((SOURCE / c.parent).glob("*.py"))
    ]
    return [str(c) for c in candidates if (SOURCE / c).is_file()]


class _WithoutDocstrings(ast.NodeTransformer):
    def _strip(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            node.body = body[1:] if isinstance(body[0].value.value, str) else body
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _strip
