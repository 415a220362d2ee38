"""Which layer stands for which region: by depth, fixed beforehand. Light: scoring imports it, so no torch here."""

from collections.abc import Iterable
from math import ceil

from neuroscaling.errors import DataError, Problem, nearest

# Depth of each region, as a fraction of the candidate layers.
DEPTHS = {"V1": 0.25, "V2": 0.5, "V4": 0.75, "IT": 1.0}


def region_layers(candidates: list[str], regions: Iterable[str]) -> dict[str, str]:
    """A layer for each of `regions` (V1, V2, V4, IT), spread over depth: at 1/4, 1/2, 3/4 and the end of `candidates`.

    Raises DataError for another region or when there are no candidates.
    """
    if not candidates:
        raise DataError(Problem("no candidate layers"))
    unknown = [region for region in regions if region not in DEPTHS]
    if unknown:
        raise DataError(
            [Problem("unknown region", value=r, allowed=", ".join(DEPTHS), nearest=nearest(r, DEPTHS)) for r in unknown]
        )
    return {region: candidates[ceil(DEPTHS[region] * len(candidates)) - 1] for region in regions}
