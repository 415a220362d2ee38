"""Scaling laws: forms, losses, a batched solver, bootstraps, what of a law the data identify, allocation, planning.

    from neuroscaling import laws
    law = laws.fit(x, y, form="power_law", x_scale=1e13, bootstraps=1000)
    law.params, law.ci, law.predict([1e20]), law.fit_report()

`neuroscaling.laws.study_fit` fits what a configuration selects from a score table.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    # Late: the configuration of fits is read whenever the Snakefile is parsed, and must not import numpy.
    if name in ("fit", "LawFit"):
        from neuroscaling.laws import fitting

        return getattr(fitting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
