"""What is found about a claim, and the verdict that follows from it by a stated rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

YES, PARTLY, NO = "supported", "supported in part", "not supported"
BY_FORM, UNTESTED = "depends on the form", "not testable"
MODES = ("parity", "corrected")


@dataclass(frozen=True)
class Finding:
    """What one fit, or a pair of fits, says of a claim. support: YES, PARTLY, NO, or None for background."""

    mode: str
    text: str
    support: str | None = None


@dataclass(frozen=True)
class Claim:
    """A claim, what was found, and whether the finding changes with the form of the law.

    rule: how the verdict follows from the numbers. form: what other forms say, None where nothing was compared;
    form_matters: whether a form that describes the data about as well reverses the finding. limits: what the numbers
    can't tell.
    """

    text: str
    rule: str
    findings: Sequence[Finding]
    form: str | None
    form_matters: bool
    limits: str

    @property
    def verdict(self) -> str:
        """One of "supported", "supported in part", "depends on the form", "not supported", "not testable"."""
        judged = together([finding.support for finding in self.findings])
        return BY_FORM if judged is not None and self.form_matters else judged or UNTESTED

    def to_dict(self) -> dict[str, Any]:
        """The claim as JSON can hold it."""
        evidence = [{"mode": f.mode, "text": f.text, "support": f.support} for f in self.findings]
        return {
            "claim": self.text,
            "verdict": self.verdict,
            "evidence": evidence,
            "depends_on_form": self.form,
            "rule": self.rule,
            "limits": self.limits,
        }


def together(support: Sequence[str | None]) -> str | None:
    """All of one mind: that; else in part. None where nothing was judged."""
    known = {s for s in support if s is not None}
    if not known:
        return None
    return known.pop() if len(known) == 1 else PARTLY


def graded(whole: bool, part: bool) -> str:
    """YES where the whole claim holds, PARTLY where a part of it does, else NO."""
    return YES if whole else PARTLY if part else NO
