"""Paths and data that several suites use."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["tests.support.cpu_seconds", "tests.support.own_logging", "tests.support.repeatable"]
ROOT = Path(__file__).parents[1]
# Folders with files that take a minute or more: they begin first, and many short files come last, so that both
# processes of `make test` end together.
LONG = ("slurm", "workflow", "crash", "training", "oracle", "brainscore", "models", "recordings", "encoding")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first."""
    items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file, and all that need the one Slurm, in one process.

    Groups by xdist's own mark are not to be had: version 3.8 sets them on an attribute that pytest 9.2 no longer has.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "tests/slurm" if file.startswith("tests/slurm/") else file

    return ByFile(config, log)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    return LONG.index(folder) if folder in LONG else len(LONG)


def _beside(variable: str, folder: str) -> Path:
    """A folder of real data: from the environment, else beside the project; skips the test where there is none."""
    path = Path(os.environ.get(variable) or ROOT.parent / "shared" / folder)
    if not path.is_dir():
        pytest.skip(f"no data: set {variable} to a folder with the public files (docs/data.md)")
    return path


@pytest.fixture(scope="session")
def v4_dir() -> Path:
    """Real V4 recordings in their public layout."""
    return _beside("NEUROSCALING_V4_DIR", "v4")


@pytest.fixture(scope="session")
def published_dir() -> Path:
    """The public score tables of the published study."""
    return _beside("NEUROSCALING_PUBLISHED_DIR", "published")


@pytest.fixture(scope="session")
def brainscore_python() -> str:
    """The interpreter of the Brain-Score environment."""
    path = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or ROOT / ".venv/brainscore/bin/python")
    if not path.exists():
        pytest.skip("no Brain-Score environment: make env")
    return str(path)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Sums in one order: what is trained twice is equal to the last bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
