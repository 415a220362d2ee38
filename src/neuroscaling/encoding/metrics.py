"""The metrics that recordings are predicted by or compared with, by the names that a study gives them.

A metric is a module `metric_*.py` with a function from a `Question` (recording, layers, tasks, settings; fits.py) to
`TargetFits` or `RegionFits`, listed here, and its name in `Metric` of study/sections/encoding.py.
"""

from collections.abc import Sequence

from neuroscaling.core.counting import counted
from neuroscaling.core.errors import Problem, StudyError, listing, nearest
from neuroscaling.encoding.fits import Answer, Fits, Question
from neuroscaling.encoding.metric_combined import banded, stacking
from neuroscaling.encoding.metric_pls import pls
from neuroscaling.encoding.metric_ridge import ridge
from neuroscaling.encoding.metric_similarity import cka, rsa

METRICS: dict[str, Answer] = {
    "ridge": ridge,
    "pls": pls,
    "banded": banded,
    "stacking": stacking,
    "rsa": rsa,
    "cka": cka,
}


def answers(question: Question, metrics: Sequence[str]) -> list[Fits]:
    """What each of `metrics` gives, in their order. Raises StudyError for one that there is not."""
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        known, where = list(METRICS), "encoding: metrics"
        raise StudyError(
            [
                Problem(
                    what="no such metric", where=where, value=one, allowed=listing(known), nearest=nearest(one, known)
                )
                for one in unknown
            ]
        )
    return [fits for metric in counted(metrics, "metric") for fits in METRICS[metric](question)]
