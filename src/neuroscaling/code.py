"""A fingerprint of the code behind a result, so that a changed formula reruns what it touches and a comment nothing.

Snakemake sees edits of a script but not of the library it calls; and it can't tell a comment from a formula.
"""

import ast
import hashlib
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
    trees = {"script": _tree(Path(script))}
    todo = list(_imports(Path(script)))
    while todo:
        module = todo.pop()
        if module not in trees:
            trees[module] = _tree(SOURCE / module)
            todo += _imports(SOURCE / module)
    text = "\n".join(f"{name} {tree}" for name, tree in sorted(trees.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


@cache
def _tree(path: Path) -> str:
    return ast.dump(_WithoutDocstrings().visit(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def _imports(path: Path) -> frozenset[str]:
    """Files of this package that `path` imports, anywhere in it, relative to the package."""
    files: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            files |= {file for alias in node.names for file in _files(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module:
            files |= set(_files(node.module))
            files |= {file for alias in node.names for file in _files(f"{node.module}.{alias.name}")}
    return frozenset(files)


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
