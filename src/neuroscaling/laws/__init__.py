"""The room of scaling laws holds forms, losses, a batched solver, bootstraps, what the data identify, and allocation.

    from neuroscaling import laws
    law = laws.fit(x, y, form="power_law", x_scale=1e13, bootstraps=1000)
    law.params, law.ci, law.predict([1e20]), law.fit_report()

`neuroscaling.laws.study_fit` fits what a file of fits selects from a score table; `neuroscaling.laws.finished_law`
reads what it wrote.
"""

from neuroscaling.laws.fitting import fit
from neuroscaling.laws.law_fit import LawFit

__all__ = ["LawFit", "fit"]
