"""The claims of the published study, set against what its fits say: verdicts by stated rules, never by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuroscaling.report.published import claim_allocation, claim_efficiency, claim_regions, claim_saturation
from neuroscaling.report.published.claim_numbers import Study

if TYPE_CHECKING:
    import pandas as pd

VERDICT_RULE = (
    "Each finding is judged by the rule of its claim, in both modes. Supported, or not supported: all findings agree. "
    "Supported in part: they differ, or each holds in part. Depends on the form: whatever the findings, they change "
    "between the published form and another one that describes the points about as well as the best (AICc within 2 of "
    "the best, or a held-out error no larger than that of the form with the best AICc). Not testable: no finding "
    "could be made, for want of fits or resamples."
)
CLAIMS = (
    claim_saturation.claim,
    claim_regions.claim,
    claim_allocation.claim,
    claim_efficiency.bias_claim,
    claim_efficiency.data_claim,
)


def claims(fits: Mapping[str, dict[str, Any]], bootstraps: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The claims of the abstract of Gokce & Schrimpf 2025, each with a verdict and its evidence.

    fits: contents of the fits' JSON files by name; bootstraps: their tables of resamples by the same names. Each claim
    is {claim, verdict, evidence: [{mode, text, support}], depends_on_form (text or None), rule, limits}; `VERDICT_RULE`
    says how a verdict follows from the evidence and `rule` how each finding is judged. A fit that is absent or not
    testable leaves its evidence out.
    """
    study = Study(fits, bootstraps)
    return [claim(study).to_dict() for claim in CLAIMS]
