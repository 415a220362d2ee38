"""Seconds of an extraction, from rates and from shapes."""

from functools import cache
from typing import Any

from neuroscaling.calibration.costs import cost_of
from neuroscaling.calibration.rates import Rates
from neuroscaling.models.build import skeleton


def extraction_seconds(
    arch: str, n_stimuli: int, rows: list[dict[str, Any]], autocast: str, rates: Rates
) -> dict[str, float]:
    """Seconds of one network of `arch` over `n_stimuli` images, by kind of work: `forward, decode, write, gram`.

    rows: as of `activations.plan.planned`; autocast: the type that the network computes in. The first three go on side
    by side, so that the longest of them counts; inner products come after.
    """
    passes = len({row["pass"] for row in rows})
    written = sum(row["bytes"] + row["scratch_bytes"] + row["gram_bytes"] for row in rows)
    products = sum(2 * n_stimuli**2 * row["features"] for row in rows if row["gram_bytes"])
    return {
        "forward": passes * n_stimuli * operations(arch) / rates.of_network(kind_of(arch), autocast),
        "decode": passes * n_stimuli / rates.decode,
        "write": written / rates.write,
        "gram": products / rates.products64,
    }


def total_seconds(parts: dict[str, float]) -> float:
    """Seconds of an extraction from those of its parts."""
    return max(parts["forward"], parts["decode"], parts["write"]) + parts["gram"]


def operations(arch: str) -> int:
    """Operations of the forward pass of an image: two for each multiplication with an addition."""
    return 2 * cost_of(arch).macs


@cache
def kind_of(arch: str) -> str:
    """`tokens` for networks with attention, `convolutions` for others."""
    return "tokens" if any("attn" in name for name, _ in skeleton(arch).named_modules()) else "convolutions"
