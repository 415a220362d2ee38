"""Which ROIs, numbers of mapping images and runs a figure shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.encoding.rois import ALL_VERTICES

if TYPE_CHECKING:
    import pandas as pd

# Retinotopic areas and the streams of NSD from early to late, all vertices, then areas that prefer a category.
REGIONS = [
    "V1", "V2", "V3", "hV4", "V4", "IT", "early", "midventral", "ventral", "midlateral", "lateral", "midparietal",
    "parietal", ALL_VERTICES, "EBA", "FBA", "mTL-bodies", "OFA", "FFA", "mTL-faces", "aTL-faces", "OPA", "PPA", "RSC",
    "OWFA", "VWFA", "mfs-words", "mTL-words",
]  # fmt: skip
# Chains along which selectivity grows, as far as the ROIs of NSD tell them apart.
CHAINS = [
    ["V1", "V2", "V3", "hV4"], ["early", "midventral", "ventral"], ["early", "midlateral", "lateral"],
    ["early", "midparietal", "parietal"],
]  # fmt: skip
MOST_REGIONS = 12
MAPPING_IMAGES = 4500  # as in the published comparison of parameters on Algonauts 2023


def in_order(regions: Iterable[str]) -> list[str]:
    """The regions along the hierarchy, unknown ones last in alphabetical order."""
    present = set(regions)
    return [region for region in REGIONS if region in present] + sorted(present - set(REGIONS))


def shown(regions: Iterable[str]) -> tuple[list[str], str]:
    """The regions that have a panel, and a sentence about those that have none (empty where all have one)."""
    ordered = in_order(regions)
    rest = ordered[MOST_REGIONS:]
    return ordered[:MOST_REGIONS], f"Not drawn, but in the tables: {', '.join(rest)}." if rest else ""


def sizes_of(rows: pd.DataFrame) -> dict[str, set[float]]:
    """Numbers of mapping images of each unit that all its runs have."""
    found: dict[str, set[float]] = {}
    for (unit, _), group in rows.groupby(["unit", "run"]):
        sizes = set(group["n_mapping"])
        found[unit] = found[unit] & sizes if unit in found else sizes
    return found


def at_fixed_size(rows: pd.DataFrame, wanted: float = MAPPING_IMAGES) -> tuple[pd.DataFrame, str]:
    """The rows at one number of mapping images, and the number in words.

    `wanted` where all runs and units have it, else the largest that all have, else the largest that all runs of a unit
    have. No rows where even these share none.
    """
    by_unit = sizes_of(rows)
    common = set.intersection(*by_unit.values()) if by_unit else set()
    if common:
        size = wanted if wanted in common else max(common)
        return rows[rows["n_mapping"] == size], f"{size:,.0f}"
    largest = {unit: max(sizes) for unit, sizes in by_unit.items() if sizes}
    kept = rows[rows["n_mapping"] == rows["unit"].map(largest)]
    ends = sorted({f"{size:,.0f}" for size in largest.values()}, key=lambda text: int(text.replace(",", "")))
    return kept, " to ".join(dict.fromkeys([ends[0], ends[-1]])) if ends else "no common number of"


def complete(rows: pd.DataFrame, column: str = "n_mapping") -> pd.DataFrame:
    """Rows at those values of `column` that all units have: a mean over other subjects is no point of the curve."""
    units = rows.groupby(column)["unit"].nunique()
    return rows[rows[column].isin(units.index[units == rows["unit"].nunique()])]


def finished(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of networks with trained weights; of those trained here, each architecture's largest set of images."""
    rows = rows[rows["kind"].isin(["trained", "pretrained"]) & (rows["n_params"] > 0)]
    most = rows.groupby(["arch", "kind", "dataset"], dropna=False)["n_samples"].transform("max")
    return rows[(rows["kind"] != "trained") | (rows["n_samples"] == most)]


def swept(rows: pd.DataFrame, run: str) -> int:
    """How many numbers of mapping images a run has that all its units share: points of a curve over units."""
    return int(complete(rows[rows["run"] == run])["n_mapping"].nunique())


def middle(x: np.ndarray) -> np.ndarray:
    """Geometric means of neighbours (n - 1,)."""
    return np.sqrt(x[1:] * x[:-1])


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Change of y per decade of x between neighbours (n - 1,); x ascending."""
    return np.diff(y) / np.diff(np.log10(x))
