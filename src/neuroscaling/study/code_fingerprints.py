"""The code behind each stage has a fingerprint, or a version number where results are dear.

Snakemake sees edits of a script but not of the library it calls; and it can't tell a comment from a formula.

Parsing two hundred files takes most of a second, and each cluster job asks for all of them. So what was read is kept
beside Python's bytecode, under the hash of the file's contents: nothing in there can be out of date.

A refactoring must not cost a lab its networks and activations. So the number is raised by hand, when equal settings
give other results. That nobody forgets it is seen to by a test: it fails when the code behind a stage changed, until
`python tools/confirm.py STAGE` has computed a small recorded case anew (CONTRIBUTING.md).
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import atomic_path, reading
from neuroscaling.core.installation import CHECKOUT

KEPT = Path(importlib.util.cache_from_source(__file__)).with_suffix(".json")
# Contents in KEPT above which it begins anew: years of edits.
MOST_KEPT = 5000
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
            same = found["reader"] == _reader() and len(found["files"]) < MOST_KEPT
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
        content: Any = getattr(node, name, None)
        if name == "body" and isinstance(node, WITH_DOCSTRINGS):
            content = content[1:] if ast.get_docstring(node, clean=False) is not None else content
        elif name == "values" and isinstance(node, ast.JoinedStr):
            content = _joined(content)
        yield name, content


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string, neighbouring texts as one and none empty: versions of Python cut them differently."""
    parts: list[ast.expr] = []
    for value in values:
        last = parts[-1] if parts else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            # Within an f-string a constant is a text.
            parts[-1] = ast.Constant(str(last.value) + str(value.value))
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


PACKAGE = "neuroscaling"
SCRIPT = "script"
SOURCE = Path(__file__).parents[1]
# Modules that say how a job reports, writes, names and locks, and not what it computes.
SILENT = {
    "core.counting", "core.errors", "core.files", "core.hangs", "core.hashing", "core.installation",
    "core.lease_holders", "core.leases", "core.logs", "core.progress", "core.provenance", "core.records",
    "core.score_files", "core.tries", "core.watching",
    "study.code_fingerprints", "study.loaded_study", "study.paths", "study.run_table",
    "study.sections.datasets", "study.sections.encoding", "study.sections.extraction", "study.sections.key_types",
    "study.sections.networks", "study.sections.recordings", "study.sections.validation", "study.sections.whole_study",
    "study.sections.yaml_document", "training.curve_logs", "training.live",
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
    if parts[0] != PACKAGE or any(".".join(parts[1:end]) in SILENT for end in (2, 3, 4)):
        return []
    stem = Path(*parts[1:])
    candidates = [stem.with_suffix(".py")] if parts[1:] else []
    candidates += [Path(*parts[1 : i + 1]) / "__init__.py" for i in range(1, len(parts))]
    return [str(c) for c in candidates if (SOURCE / c).is_file()]


VERSIONS = Path(__file__).with_name("versions.json")


@dataclass(frozen=True)
class Stage:
    """A stage whose version is a number.

    what: its results; modules: where its code begins; what they import counts too.
    """

    what: str
    modules: tuple[str, ...]


VERSIONED_STAGES = {
    "subsets": Stage("images of a subset", ("datasets/subset_file.py",)),
    "simulated": Stage("simulated brains", ("simulate/brain.py",)),
    "stimuli": Stage("images of a stimulus set", ("stimuli/preparation.py",)),
    "networks": Stage(
        "networks as they are built, and with weights from a file",
        ("models/build.py", "models/checkpoints.py"),
    ),
    "training": Stage("trained weights", ("training/train.py",)),
    "extraction": Stage("activations", ("activations/extraction.py",)),
}


def version_of(stage: str) -> int:
    """The version of a stage's results. Raises KeyError for a stage that has none."""
    return _versions()[stage]


def stage_parts(stage: str) -> dict[str, str]:
    """Digests of the modules behind a stage: those where it begins and all that they import."""
    return module_parts(VERSIONED_STAGES[stage].modules)


def confirmed_path(stage: str, root: Path = CHECKOUT) -> Path:
    """The file that says for which code the version of a stage was confirmed; a clone has it."""
    return root / "tools" / "confirmed" / f"{stage}.json"


def unconfirmed(stage: str, root: Path = CHECKOUT) -> list[str]:
    """Modules behind a stage that are others than those its version was confirmed for, added and removed ones too."""
    path = confirmed_path(stage, root)
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    before = record.get("parts", {}) if record.get("version") == version_of(stage) else {}
    now = stage_parts(stage)
    return sorted(module for module in before.keys() | now.keys() if before.get(module) != now.get(module))


@cache
def _versions() -> dict[str, int]:
    return json.loads(VERSIONS.read_text(encoding="utf-8"))


STAGE_ENTRIES = {
    "brainscore": "brainscore/scoring_job.py",
    "layers": "brainscore/commitment.py",
    "ceilings": "brainscore/benchmark_objects.py",
    "encoding": "encoding/encoding_job.py",
    "v4_assembly": "recordings/v4_assembly.py",
    "nsd": "recordings/nsd_preparation.py",
    "arrays": "recordings/arrays_preparation.py",
    "functions": "recordings/function_preparation.py",
    "tvsd": "recordings/tvsd_recording.py",
    "things_fmri": "recordings/things_fmri_recording.py",
}
"""The module that does a stage's work, by the stage. What it imports counts too."""


@cache
def code_of(stage: str) -> str:
    """Fingerprint of the code behind a stage."""
    return fingerprint_of(parts_of(stage))


@cache
def parts_of(stage: str) -> dict[str, str]:
    """What the fingerprint is made of: a digest of each module behind a stage."""
    return code_parts(SOURCE / STAGE_ENTRIES[stage])
