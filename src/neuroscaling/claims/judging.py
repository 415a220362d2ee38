"""Claims are judged: in each mode and control, under every form, and without every group of points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.claims import curves_above, pace, parameters, rising_gains
from neuroscaling.claims.evidence import BY_FORM, NO, PARTLY, UNTESTED, YES, ByForm, Case, Finding, common_support
from neuroscaling.claims.without_groups import LeftOut, forms_are_known, groups_of, read_left_out, without
from neuroscaling.core.files import write_json
from neuroscaling.laws.finished_law import law_called, read_fits
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.influence_record import group_words
from neuroscaling.laws.law_fit import finite
from neuroscaling.report.sections import Section, render
from neuroscaling.study.sections.claim_files import Claim, Statement

FORMAT = "claims/1"
TEMPLATES = Path(__file__).parent / "templates"
VERDICT_RULE = (
    "Each finding is judged by the rule of its claim, in both modes. Supported, or not supported: all findings agree. "
    "Supported in part: they differ, or each holds in part. Depends on the form: whatever the findings, they change "
    "between the published form and another one that describes the points about as well as the best (AICc within 2 of "
    "the best, or a held-out error no larger than that of the form with the best AICc). Not testable: no finding "
    "could be made, for want of fits or resamples. Beside the verdict stands what rests on single groups of points, of "
    "the corrected fits: a claim rests on a group where its findings turn without it, from supported to not supported, "
    "the reverse, or to not testable. Groups without which they are a grade apart (in part in place of either, or the "
    "reverse) are counted and no more, since the ends of intervals rest on 100 resamples there. The other forms are "
    "fitted without each group too: a claim also rests on a group where it depends on the form, by the same rule, "
    "without that group and not with all points, or the reverse."
)
MOST_NAMED = 12


@dataclass(frozen=True)
class Kind:
    """How a kind of statement is judged: its rule in words, the findings of a case, and what other forms say."""

    rule: str
    findings: Callable[[Any, Case], list[Finding]]
    by_form: Callable[[Any, Case], ByForm | None]


KINDS = {
    "pace": Kind(pace.RULE, pace.findings, pace.by_form),
    "rises": Kind(rising_gains.RULE, rising_gains.findings, rising_gains.by_form),
    "above": Kind(curves_above.RULE, curves_above.findings, curves_above.by_form),
    "share": Kind(parameters.SHARE_RULE, parameters.share_findings, parameters.no_forms),
    "asymptote": Kind(parameters.ASYMPTOTE_RULE, parameters.asymptote_findings, parameters.no_forms),
    "better_form": Kind(parameters.FORM_RULE, parameters.form_findings, parameters.no_forms),
}


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with its verdict and its evidence.

    verdict: "supported", "supported in part", "depends on the form", "not supported" or "not testable". evidence: what
    was found. depends_on_form: what other forms say, None where nothing was compared. rests_on_groups: for each set of
    corrected fits, without which groups its findings turn, or start or cease to depend on the form; None where no fit
    was made without groups. stands: whether there is no such group; None where that is not known. rule: how the verdict
    follows from the numbers; limits: what they can't tell.
    """

    claim: str
    verdict: str
    evidence: list[Finding]
    depends_on_form: str | None
    rests_on_groups: str | None
    stands: bool | None
    rule: str
    limits: str


def judge(
    claims: Sequence[Claim], fits: Mapping[str, FitRecord], left_out: Mapping[str, LeftOut] | None = None
) -> list[JudgedClaim]:
    """Each claim with its verdict and evidence; `VERDICT_RULE` says how one follows from the other.

    fits: by name, with their resamples; a fit that is absent or not testable leaves its evidence out. left_out: what
    the fits stand on, by name.
    """
    return [_judged(claim, fits, left_out or {}) for claim in claims]


def write_claims(path: str | Path, claims: Sequence[Mapping[str, Any]], fit_files: Sequence[str | Path]) -> None:
    """Judge claims by finished fits, and write them as a section of the report's page to `path` (JSON).

    claims: their keys, as in a file of claims; fit_files: fit JSON files, each with its resamples and what it stands on
    beside it.
    """
    typed = [Claim.model_validate(dict(claim)) for claim in claims]
    fit_files = list(fit_files)
    judged = [asdict(one) for one in judge(typed, read_fits(fit_files), read_left_out(fit_files))]
    content = {"format": FORMAT, "claims": judged, "verdict_rule": VERDICT_RULE}
    html = render("claims.html", [TEMPLATES], judged=content)
    write_json(path, finite(content | asdict(Section(html, [("claims", "Claims")], ""))))


def _judged(claim: Claim, fits: Mapping[str, FitRecord], left_out: Mapping[str, LeftOut]) -> JudgedClaim:
    kind, statement = KINDS[claim.statement.kind], claim.statement
    cases = list(_cases(claim, fits))
    found = [finding for case, _ in cases for finding in kind.findings(statement, case)]
    own = [(case, _asks(claim, control)) for case, control in cases if case.mode != "parity"]
    forms = [words for case, asks in own if asks and (words := kind.by_form(statement, case)) is not None]
    support = common_support([finding.support for finding in found])
    matters = support is not None and any(words.matters for words in forms)
    groups = [_rests(kind, statement, case, left_out, asks) for case, asks in own]
    known = [rests for rests in groups if rests is not None]
    return JudgedClaim(
        claim=claim.claim,
        verdict=BY_FORM if matters else support or UNTESTED,
        evidence=found,
        depends_on_form=" ".join(words.text for words in forms) or None,
        rests_on_groups=" ".join(text for text, _ in known) or None,
        stands=all(stands for _, stands in known) if known else None,
        rule=kind.rule,
        limits=claim.limits,
    )


def _cases(claim: Claim, fits: Mapping[str, FitRecord]) -> Iterator[tuple[Case, bool]]:
    """The sets of fits that a claim is judged by, and whether each is a control."""
    for mode in claim.asked_modes():
        yield _case(mode, "", {label: claim.name_in(mode, name) for label, name in claim.fits.items()}, fits), False
    for control in claim.controls:
        yield _case("", control.lead, control.fits, fits), True


def _case(mode: str, lead: str, names: Mapping[str, str], fits: Mapping[str, FitRecord]) -> Case:
    found = {label: law_called(fits, name) for label, name in names.items()}
    laws = {label: law for label, law in found.items() if law is not None}
    return Case(mode or next((law.mode for law in laws.values()), "corrected"), lead, laws)


def _asks(claim: Claim, control: bool) -> bool:
    return claim.forms_of == "all" or (claim.forms_of == "controls") is control


def _rests(
    kind: Kind, statement: Statement, case: Case, left_out: Mapping[str, LeftOut], forms: bool
) -> tuple[str, bool] | None:
    """Without which groups a case turns, in words, and whether there is none. forms: whether those count."""
    whole = common_support([finding.support for finding in kind.findings(statement, case)])
    groups = groups_of(case, left_out)
    if not groups or whole is None:
        return None
    found: dict[str, str] = {}
    by_form: dict[str, bool] = {}
    for group in groups:
        words, own = group_words(*group), without(case, group, left_out)
        found[words] = common_support([one.support for one in kind.findings(statement, own)]) or UNTESTED
        if forms and found[words] != UNTESTED and forms_are_known(case, group, left_out):
            said = kind.by_form(statement, own)
            by_form |= {} if said is None else {words: said.matters}
    support, turned = _turned(whole, found)
    said = kind.by_form(statement, case) if by_form else None
    dependence, changed = ("", []) if said is None else _dependence(said.matters, by_form)
    parts = [f"{case.opening}{', '.join(case.laws)}: {support}.", dependence]
    return " ".join(part for part in parts if part), not turned and not changed


def _turned(whole: str, found: Mapping[str, str]) -> tuple[str, list[str]]:
    """What becomes of the support without each group, in words, and the groups without which it turns."""
    apart = (YES, NO) if whole == PARTLY else (PARTLY,)
    turned = {words: support for words, support in found.items() if support not in (whole, *apart)}
    near = Counter(support for support in found.values() if support in apart)
    named = [f"{support} without {words}" for words, support in list(turned.items())[:MOST_NAMED]]
    more = [f"turned without {len(turned) - MOST_NAMED} more"] if len(turned) > MOST_NAMED else []
    some = [f"{support} without {count}, a grade apart" for support, count in near.items()]
    same = len(found) - len(turned) - near.total()
    parts = [f"{whole} with all points", *named, *more, *some, f"the same without {same} of {len(found)} groups"]
    return "; ".join(parts), list(turned)


def _dependence(whole: bool, by_form: Mapping[str, bool]) -> tuple[str, list[str]]:
    """Whether other forms turn the finding without each group, in words, and the groups without which that changes."""
    changed = [words for words, matters in by_form.items() if matters != whole]
    more = [f"{len(changed) - MOST_NAMED} more"] if len(changed) > MOST_NAMED else []
    names = ", ".join([*changed[:MOST_NAMED], *more])
    start = f"With all points another form {'turns' if whole else 'does not turn'} this"
    other = f"; one {'does not' if whole else 'does'} without {names}" if changed else ""
    return f"{start}{other}; the same without {len(by_form) - len(changed)} of {len(by_form)} groups.", changed
