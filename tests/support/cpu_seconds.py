"""What each test costs: `pytest --cpu-seconds 30` lists the 30 dearest setups and calls, files and folders.

Seconds of the processor, of this process and of those that it waited for: beside other work they stay what they are,
while seconds of the clock grow.
"""

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests.support import forked_snakemake

PHASES = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that asks for the lists."""
    what = "list the N setups, calls, files and folders that took the most seconds of the processor"
    parser.addoption("--cpu-seconds", type=int, default=0, metavar="N", help=what)


def spent() -> float:
    """Seconds of the processor that this process and the children that it waited for have taken."""
    times = os.times()
    here = times.user + times.system + times.children_user + times.children_system
    return here + forked_snakemake.cpu_seconds()


def _begin(item: pytest.Item) -> Generator[None, Any, Any]:
    item.stash[PHASES] = spent()
    return (yield)


pytest_runtest_setup = pytest.hookimpl(wrapper=True, tryfirst=True)(_begin)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The call begins."""
    return (yield from _begin(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """The teardown begins."""
    return (yield from _begin(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Each report says what its phase took; xdist hands it to the process that prints."""
    report = yield
    report.cpu_seconds = spent() - item.stash[PHASES]
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The lists."""
    most = config.getoption("--cpu-seconds")
    if not most:
        return
    reports = [r for found in terminalreporter.stats.values() for r in found if hasattr(r, "cpu_seconds")]
    phases, files, folders = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        file = report.nodeid.split("::", 1)[0]
        phases[f"{report.when:8} {report.nodeid}"] += report.cpu_seconds
        files[file] += report.cpu_seconds
        folders[os.path.dirname(file)] += report.cpu_seconds
    terminalreporter.section(f"{folders.total():.0f} CPU seconds in all, without collection")
    for found in (phases, files, folders):
        for name, seconds in found.most_common(most):
            terminalreporter.write_line(f"{seconds:8.1f} {name}")
        terminalreporter.write_line("")
