"""The map agrees with the territory: docs/design.md draws the contracts of imports, and every path in a text exists."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doc_blocks import PAGES, ROOT, blocks

PACKAGE = ROOT / "src/neuroscaling"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
DESIGN = ROOT / "docs/design.md"
# Texts that name files of the repository. CHANGELOG.md tells of what was, so it may name what is gone.
ROOT_FILES = ("Snakefile", "Makefile", "pyproject.toml", ".ci/run", "envs/main.in", "envs/brainscore.in")
TEXTS = [
    *(page for page in PAGES if page.name != "CHANGELOG.md"),
    *(ROOT / name for name in ROOT_FILES),
    *(
        file
        for folder in ("workflow", "config", "profiles", "src", "tests", "tools", "perf", "envs")
        for suffix in ("py", "smk", "yaml", "sh")
        for file in sorted((ROOT / folder).rglob(f"*.{suffix}"))
    ),
]
# Names of files (`stimuli.csv`), and keys of a study that are called like a room (`brainscore.benchmarks`).
NOT_OF_THE_PACKAGE = re.compile(r"[.](csv|npy|json|parquet|zarr)$|^(brainscore|training)[.]\w+$")
PLACEHOLDER = re.compile(r"NAME|\bours_|\bmylab_|\bx\.py")
FOLDERS = "docs|tests|workflow|tools|perf|envs|profiles|config|src"
FOLDER = re.compile(rf"`((?:{FOLDERS})/[\w./-]*/)`")
SUFFIXES = "py|md|yaml|json|smk|sh|txt"
PATH = re.compile(rf"(?<![\w/.$<>{{}}\"'-])((?:{FOLDERS})/[\w./-]+\.(?:{SUFFIXES})|[\w/]+\.py)(?![\w*])")
DOTTED = re.compile(rf"`((?:neuroscaling|{'|'.join(ROOMS)})(?:\.\w+)+)`")


def layers_of(contracts: list[dict]) -> list[set[str]]:
    """The layers of rooms in pyproject, from top to bottom; rooms of one layer don't import each other."""
    (found,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [set(layer.split(" | ")) for layer in found]


def drawn() -> list[set[str]]:
    """The layers that docs/design.md draws: the first words of the lines of its picture."""
    (picture,) = [block for block in blocks(DESIGN) if block.language == "text"]
    names = [re.split(r" {2,}", line)[0] for line in picture.text.splitlines()]
    return [set(name.split(" | ")) for name in names]


def test_the_picture_of_rooms_is_the_contract_of_layers():
    layers = layers_of(CONTRACTS)
    assert drawn() == layers
    assert sorted(room for layer in layers for room in layer) == ROOMS


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_each_contract_stands_in_the_design_with_what_it_forbids(contract: dict):
    rows = [line for line in DESIGN.read_text().splitlines() if line.startswith(f"| {contract['name']} |")]
    assert len(rows) == 1, f"docs/design.md has no row for the contract {contract['name']!r}"
    named = set(re.findall(r"`([\w.]+)`", rows[0]))
    forbidden = {module.removeprefix("neuroscaling.") for module in contract.get("forbidden_modules", [])}
    assert forbidden <= named, f"the row misses {forbidden - named}"


def test_the_index_names_every_page():
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", (ROOT / "docs/index.md").read_text()))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= linked, f"docs/index.md names no {sorted(pages - linked)}"


def named_paths(file: Path) -> Iterator[tuple[int, str]]:
    """The paths of files of this repository in a text, each with its line."""
    text = file.read_text(encoding="utf-8")
    code = file.suffix in (".py", ".smk", ".yaml", ".sh") or file.name in ("Snakefile", "Makefile")
    for number, line in enumerate(text.splitlines(), 1):
        for path in PATH.findall(line):
            first, *rest = path.split("/")
            of_a_room = first in ROOMS and 1 <= len(rest) <= 2
            bare = not rest and not code  # a page that names `x.py` means a file of this repository
            if first in FOLDERS.split("|") or of_a_room or bare:
                yield number, path


def test_every_folder_that_a_page_names_exists():
    pages = [text for text in TEXTS if text.suffix == ".md"]
    found = [(page, folder) for page in pages for folder in FOLDER.findall(page.read_text(encoding="utf-8"))]
    assert len(found) > 5
    missing = [f"{page.relative_to(ROOT)}: {folder}" for page, folder in found if not (ROOT / folder).is_dir()]
    assert not missing, "\n".join(missing)


def exists(path: str) -> bool:
    """Whether the repository or the package has the file; a bare name may stand in any folder."""
    if "/" in path:
        return (ROOT / path).exists() or (PACKAGE / path).exists()
    return any(file.name == path for file in TEXTS)


def test_every_path_that_a_text_names_exists():
    found = [(file, number, path) for file in TEXTS for number, path in named_paths(file)]
    assert len(found) > 100
    missing = [
        f"{file.relative_to(ROOT)}:{number}: {path}"
        for file, number, path in found
        if not exists(path) and not PLACEHOLDER.search(path)
    ]
    assert not missing, "\n".join(missing)


def defines(dotted: str) -> bool:
    """Whether the package has such a module, or such a name in a module; with or without `neuroscaling.` in front."""
    parts = dotted.removeprefix("neuroscaling.").split(".")
    for depth in range(len(parts), 0, -1):
        base = PACKAGE.joinpath(*parts[:depth])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if file.is_file():
            rest = parts[depth:]
            return not rest or rest[0] in top_level_names(file)
    return False


def top_level_names(file: Path) -> set[str]:
    """Functions, classes, constants and imports of a module, read and not run."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return names


def test_every_dotted_name_of_the_package_in_a_text_exists():
    names = [(file, name) for file in TEXTS for name in DOTTED.findall(file.read_text(encoding="utf-8"))]
    found = [(file, name) for file, name in names if not NOT_OF_THE_PACKAGE.search(name)]
    assert len(found) > 3
    missing = [f"{file.relative_to(ROOT)}: {name}" for file, name in found if not defines(name)]
    assert not missing, "\n".join(missing)


def test_what_no_test_runs_imports_what_there_is():
    """Scripts of perf/ and tools/, and imports inside functions, would break unseen when a name moves."""
    wrong, seen = [], 0
    for folder in ("perf", "tools", "workflow/scripts"):
        for file in sorted((ROOT / folder).glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "neuroscaling":
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                    seen += len(names)
                    wrong += [f"{file.relative_to(ROOT)}:{node.lineno}: {name}" for name in names if not defines(name)]
    assert seen > 50
    assert not wrong, "\n".join(wrong)
