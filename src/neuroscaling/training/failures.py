"""Runs that can't be made with the settings that they have: they are marked failed, and others go on."""

from collections.abc import Iterable
from typing import Any

from neuroscaling.errors import DataError, Problem


class RunFailed(DataError):
    """A run failed for a reason of its own. facts: what its run.json keeps, such as step and learning_rate.

    lasting: would the same settings fail again, whatever is done about files?
    """

    def __init__(self, problems: Problem | Iterable[Problem], lasting: bool, **facts: Any):
        super().__init__(problems)
        self.lasting = lasting
        self.facts = facts
