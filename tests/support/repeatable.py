"""Each run of the suite draws the same numbers: what passed once passes again, in any order and beside any other test.

Hypothesis looks for new examples with `pytest --hypothesis-profile search` alone. However the suite was started, what
it starts heeds Ctrl-C.
"""

import random
import signal
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A health check by the clock would take a busy machine for a slow strategy.
LEFT_OUT = [HealthCheck.too_slow]
settings.register_profile("suite", derandomize=True, deadline=None, database=None, suppress_health_check=LEFT_OUT)
settings.register_profile("search", deadline=None)
settings.load_profile("suite")


def pytest_configure() -> None:
    """A shell that starts the suite in the background lets it ignore Ctrl-C, and with it all that tests start."""
    if threading.current_thread() is threading.main_thread():
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, usual)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Seed the generators that a whole process shares, before the fixtures of each test."""
    random.seed(0)
    np.random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:  # not loaded for tests that don't need it: 2 s
        torch.manual_seed(0)
