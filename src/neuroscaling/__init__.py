"""From images to laws: how brain alignment grows with data, parameters and compute.

Stable for Python are `extract`, `score`, `fit` and `open_study` (docs/api.md). All else may change with any version.
"""

import importlib
from typing import Any

from neuroscaling.core.installation import extras_told

__version__ = "0.1.0"
__all__ = ["extract", "fit", "open_study", "score"]
# Loaded when they are first asked for: what reads this package alone loads neither torch nor pandas.
_HOMES = {"extract": "extraction", "fit": "laws", "open_study": "studies", "score": "scoring"}


def __getattr__(name: str) -> Any:
    """One of the public functions."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with extras_told():
        return getattr(importlib.import_module(f"{__name__}.api.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted([*globals(), *__all__])
