"""A test's logging is its own: what a script of the pipeline sets up for its whole process ends with the test.

Otherwise later tests of the process would log to files and streams that are gone, on another level, and would not see
their warnings in the log of their own script.
"""

import logging

import pytest

BEFORE = pytest.StashKey[tuple[int, list[logging.Handler]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note how the process logs."""
    root = logging.getLogger()
    item.stash[BEFORE] = root.level, root.handlers[:]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let it log as before. Handlers of pytest come and go with each phase of a test."""
    root = logging.getLogger()
    level, handlers = item.stash.get(BEFORE, (root.level, root.handlers))
    for handler in root.handlers[:]:
        if handler not in handlers and not type(handler).__module__.startswith("_pytest."):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)
