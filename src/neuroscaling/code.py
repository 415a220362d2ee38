"""A fingerprint of the code behind a result, so that a changed formula reruns what it touches and a comment nothing.

Snakemake sees edits of a script but not of the library it calls; and it can't tell a comment from a formula.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from neuroscaling.syntax import Syntax, read_syntax

PACKAGE = "neuroscaling"
SCRIPT = "script"
SOURCE = Path(__file__).parent
# Packages that load the files of their folder by their names.
LISTED = {"training/feeding/__init__.py"}
# Modules that say how a job reports, writes, names and locks, and not what it computes.
SILENT = {
    "code", "config", "document", "errors", "failures", "files", "hashing", "logs", "paths", "percent", "provenance",
    "runs", "study", "study_file", "syntax", "validation", "versions", "yaml_text",
    "core.agreement", "core.holders", "core.json_text", "core.kept_hashes", "core.leases", "core.manifests",
    "core.names", "core.reading", "core.records", "core.run_record", "core.score_files",
}  # fmt: skip


def code_fingerprint(script: str | Path, digits: int = 12) -> str:
    """Hash of the syntax trees of `script` and of all modules of this package that it imports, directly or not.

    Comments, docstrings and layout don't count, nor does the version of Python.
    """
    return fingerprint_of(code_parts(script), digits)


def code_parts(script: str | Path) -> dict[str, str]:
    """What `code_fingerprint` is made of: a digest of `script`, under that name, and of each module behind it.

    Modules are named by their files in this package, such as `models/build.py`.
    """
    return _behind({SCRIPT: Path(script)})


def module_parts(modules: Iterable[str]) -> dict[str, str]:
    """Digests of modules, such as `models/build.py`, and of all that they import, directly or not."""
    return _behind({module: SOURCE / module for module in modules})


def fingerprint_of(parts: Mapping[str, str], digits: int = 12) -> str:
    """One hash of the digests of several modules."""
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _behind(files: dict[str, Path]) -> dict[str, str]:
    new = parts = _syntax(files)
    while new:
        modules = {file for part in new.values() for name in part.imports for file in _files(name)}
        new = _syntax({module: SOURCE / module for module in modules - set(parts)})
        parts = parts | new
    return {name: part.digest for name, part in parts.items()}


def _syntax(files: dict[str, Path]) -> dict[str, Syntax]:
    return dict(zip(files, read_syntax(list(files.values())), strict=True))


@cache
def _files(name: str) -> list[str]:
    """The files of a dotted name of this package, relative to it; none for other packages and silent modules."""
    parts = name.split(".")
    if parts[0] != PACKAGE or any(".".join(parts[1:end]) in SILENT for end in (2, 3)):
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
