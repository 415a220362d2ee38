"""What a study found: a line for each law, with its asymptote, its exponents, its form, what carries it, a verdict.

Everything here is said by rules from the records of the fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroscaling.laws.finished_law import FinishedLaw, FitRecord
from neuroscaling.laws.fit_record import ComparedForm
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.identifiability import NO_GROWTH, NO_SATURATION, NOT_DETERMINED
from neuroscaling.laws.influence_record import JUDGED, NOT_ASKED, Influence
from neuroscaling.laws.number_words import MISSING, NOT_IDENTIFIED, with_interval
from neuroscaling.laws.parametrisation import Parameter
from neuroscaling.laws.quantities import is_rate
from neuroscaling.report.law_figures import panel_of, shared_value
from neuroscaling.report.style import form_look

ALIKE = 2.0
"""Difference of AICc below which two forms describe the points alike."""
NAMED = 3
"""Groups that a line names; the tables of the laws have all."""
NO_SUCH = "none in this form"
SATURATES, UNDECIDED, GROWS_ON, FLAT, LINE, UNCLEAR, UNTESTABLE = (
    "saturates", "undecided", "grows on", "no growth", "a line", "unclear", "not testable",
)  # fmt: skip
RATE_WORDS = {"alpha": "", "s": "steepness "}
"""What the one rate of a form is called before its number; others by their name."""


@dataclass(frozen=True)
class Answer:
    """What a fit says, in words. kind: in which sense it answers; remark: what must be known of the preferred form;
    stands: whether it does without any one group of its points, None where that can't be said.
    """

    fit: FitRecord
    title: str
    kind: str
    asymptote: str
    exponent: str
    form: str
    remark: str
    carried: str
    verdict: str
    stands: bool | None = None

    @property
    def points(self) -> int:
        """How many points the law rests on."""
        return self.fit.n if isinstance(self.fit, FinishedLaw) else len(self.fit.points)

    @property
    def unsure(self) -> bool:
        """Whether the asymptote is no finding."""
        return self.kind not in (SATURATES, UNDECIDED)


def answer_of(fit: FitRecord, influence: Influence | None = None) -> Answer:
    """What a fit says. influence: what it stands on, None where that was not told."""
    title = panel_of(fit).title
    if not isinstance(fit, FinishedLaw):
        reason = fit.reason.partition("\n")[0].removeprefix("x: ")
        return Answer(fit, title, UNTESTABLE, MISSING, MISSING, MISSING, "", MISSING, f"Can't be tested: {reason}.")
    kind, carried = kind_of(fit), carried_by(influence)
    form, remark = preferred_form(fit)
    verdict = " ".join(part for part in (_shape(fit, kind), _ground(influence), _few(fit)) if part)
    stands = influence.stands if influence else None
    return Answer(fit, title, kind, asymptote_words(fit), rate_words(fit), form, remark, carried, verdict, stands)


def kind_of(law: FinishedLaw) -> str:
    """In which sense a law answers whether, and where, growth ends."""
    if NO_GROWTH in (law.saturation_statement, *law.notes):
        return FLAT
    if law.form.asymptote is None:
        return LINE
    if law.saturation_statement == NO_SATURATION:
        return GROWS_ON
    if not law.asymptote_identified or law.saturation is None:
        return UNCLEAR
    return UNDECIDED if _endless(law) else SATURATES


def _alike(law: FinishedLaw) -> list[ComparedForm]:
    """The forms that describe the points best, as far as AICc can tell; empty where none were compared by it."""
    return [row for row in law.compared if row.delta_aicc is not None and row.delta_aicc < ALIKE]


def _is_preferred(law: FinishedLaw) -> bool:
    """Whether the form that is shown is among those that describe the points best."""
    best = _alike(law)
    return not best or any(row.form == law.form_name for row in best)


def _endless(law: FinishedLaw) -> str:
    """A form without an asymptote that describes the points as well as any, in words; empty where there is none."""
    names = [row.form for row in _alike(law) if row.form in FORMS and FORMS[row.form].asymptote is None]
    return form_look(names[0]).words if names else ""


def _ending(law: FinishedLaw) -> str:
    """The same of a form with an asymptote."""
    names = [row.form for row in _alike(law) if row.form in FORMS and FORMS[row.form].asymptote is not None]
    return form_look(names[0]).words if names else ""


def asymptote_words(law: FinishedLaw) -> str:
    """The asymptote with its interval, or why there is no number."""
    if law.form.asymptote is None:
        return NO_SUCH
    if law.saturation_statement:
        return law.saturation_statement
    if not law.asymptote_identified:
        return NOT_IDENTIFIED
    return with_interval(law.saturation, law.saturation_ci95 if law.bootstraps.n else None)


def rate_words(law: FinishedLaw) -> str:
    """The exponents, or what else tells how fast a law rises, with their intervals; words where they aren't known."""
    rates = [parameter for parameter in law.form.parameters if is_rate(parameter)]
    lost = [rate.name for rate in rates if not law.identifies(rate.name)]
    if rates and len(lost) == len(rates):
        return NOT_IDENTIFIED
    told = [_rate(law, rate, len(rates) == 1) for rate in rates if rate.name not in lost]
    return "; ".join([*told, *([f"{NOT_IDENTIFIED}: {', '.join(lost)}"] if lost else [])]) or NO_SUCH


def _rate(law: FinishedLaw, rate: Parameter, alone: bool) -> str:
    name = RATE_WORDS.get(rate.name, f"{rate.name} ") if alone else f"{rate.name} "
    text = with_interval(law.params[rate.name], law.ci95.get(rate.name) if law.bootstraps.n else None)
    return f"{text} a decade" if rate.unit == "score per decade" else f"{name}{text}"


def preferred_form(law: FinishedLaw) -> tuple[str, str]:
    """The form that describes the points best among those compared, and what must be known of it.

    By AICc, where forms within 2 of the best are alike; where it is not defined by the held-out error.
    """
    shown = form_look(law.form_name).words
    ranked = [row for row in law.compared if row.delta_aicc is not None]
    if not law.compared:
        return shown, "the only form fitted"
    if not ranked:
        tested = [row for row in law.compared if row.held_out_error is not None]
        best = min(tested, key=lambda row: row.held_out_error or 0.0, default=None)
        return (form_look(best.form).words, "by held-out error") if best else (shown, "the forms can't be compared")
    alike = [form_look(row.form).words for row in _alike(law)]
    away = next((row.delta_aicc or 0.0 for row in ranked if row.form == law.form_name), 0.0)
    remarks = ["alike by AICc"] * (len(alike) > 1)
    remarks += [f"shown: {shown}, AICc {away:.1f} higher"] * (away >= ALIKE)
    return " or ".join(alike), "; ".join(remarks)


def carried_by(influence: Influence | None) -> str:
    """The groups of points that carry a law, the first of them by name."""
    if influence is None or influence.status == NOT_ASKED:
        return "not asked"
    if influence.status != JUDGED or influence.stands is None:
        return "can't be said"
    names = [group.words for group in influence.carriers]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more or "no single group"


def _shape(law: FinishedLaw, kind: str) -> str:
    moves = "Falls" if law.falls else "Grows"
    if kind == FLAT:
        return "Growth is not established."
    if kind == LINE:
        end = _ending(law)
        more = f"{end}, which has an end, fits as well" if end else "this form has no end"
        return f"{moves} along a straight line in log x; {more}."
    other = "" if _is_preferred(law) else ", by a form that fits less well than another"
    if kind == GROWS_ON:
        return f"{moves} up to the largest x; no end within the data{other}."
    if kind == SATURATES:
        return f"Levels off at {with_interval(law.saturation, None)}{other}."
    if kind == UNDECIDED:
        level = with_interval(law.saturation, None)
        return f"Undecided: levels off at {level} in this form, but {_endless(law)}, which has no end, fits as well."
    if law.saturation_statement == NOT_DETERMINED:
        return "Too few different x to tell."
    return f"{moves}; where it ends is not identified."


def _ground(influence: Influence | None) -> str:
    if influence is None or influence.stands is None:
        return ""
    if influence.stands:
        return "Stands without any one group."
    n = len(influence.carriers)
    return f"Rests on {carried_by(influence)}." if n == 1 else f"Rests on each of {n} groups."


def _few(law: FinishedLaw) -> str:
    return f"Only {law.n} points." if any(note.startswith("only ") for note in law.notes) else ""


def answers(fits: Sequence[FitRecord], influences: Mapping[str, Influence]) -> list[Answer]:
    """What the fits say, in their order."""
    return [answer_of(fit, influences.get(fit.name)) for fit in fits]


def answer_values(answer: Answer, title: str) -> dict[str, Any]:
    """An answer as a row for programs: numbers where they tell something, else null. title: of its group."""
    fit, law = answer.fit, answer.fit if isinstance(answer.fit, FinishedLaw) else None
    saturation = law.saturation if law and not answer.unsure else None
    low, high = (law.saturation_ci95 if law and saturation is not None else None) or (None, None)
    rate = next((p for p in law.form.parameters if is_rate(p) and law.identifies(p.name)), None) if law else None
    ends: tuple[float | None, float | None] = (law.ci95.get(rate.name) if law and rate else None) or (None, None)
    return {
        "law": fit.name, "title": title, "region": shared_value([fit], "region"), "mode": fit.mode,
        "quantity": fit.quantity, "x": ", ".join(fit.variables), "points": answer.points,
        "asymptote": saturation, "asymptote_low": low, "asymptote_high": high, "asymptote_words": answer.asymptote,
        "exponent": law.params[rate.name] if law and rate else None, "exponent_low": ends[0], "exponent_high": ends[1],
        "exponent_words": answer.exponent, "form": fit.form_name, "preferred_form": answer.form,
        "carried_by": answer.carried, "verdict": answer.verdict, "simulated": fit.simulated,
    }  # fmt: skip


def findings(groups: Sequence[tuple[str, Sequence[Answer]]]) -> list[str]:
    """The answers of a study in one or two sentences: those of its first group of laws, then all.

    groups: title and answers of each. Empty where no law could be fitted.
    """
    known = [(title, found) for title, found in groups if any(one.kind != UNTESTABLE for one in found)]
    if not known:
        return []
    title, first = known[0]
    every = [one for _, found in groups for one in found]
    sentences = [f"{title}: {_told(first)}."]
    return [*sentences, _counted(every)] if len(groups) > 1 else sentences


def _told(found: Sequence[Answer]) -> str:
    """The answers of a group of laws in half a sentence for each kind of answer."""
    what = {"loss": "the loss", "acc": "accuracy", "raw": "the correlation"}.get(found[0].fit.quantity, "the score")
    moves = "falls" if any(isinstance(one.fit, FinishedLaw) and one.fit.falls for one in found) else "grows"
    verbs = {
        SATURATES: f"{what} levels off",
        UNDECIDED: f"forms with and without an end describe {what} alike",
        GROWS_ON: f"{what} {moves} up to the largest x, without an end in the data,",
        LINE: f"{what} {moves} along a straight line in log x",
        FLAT: "growth is not established",
        UNCLEAR: f"where {what} ends is not identified",
        UNTESTABLE: "there are too few data",
    }
    parts = []
    for kind, words in verbs.items():
        own = [one for one in found if one.kind == kind]
        if own:
            parts.append(f"{words} {_where(own, len(found))}".rstrip(" ,"))
    return "; ".join(parts)


def _where(own: Sequence[Answer], n: int) -> str:
    """Of which laws something is said, with their asymptotes where they have one."""
    levels = [one.fit.saturation for one in own if isinstance(one.fit, FinishedLaw) and one.kind == SATURATES]
    values = [level for level in levels if level is not None]
    if n == 1:
        return f"at {with_interval(values[0], None)}" if values else ""
    if len(own) > 2 * NAMED:
        ends = f" (at {with_interval(min(values), None)} to {with_interval(max(values), None)})" if values else ""
        return f"in {len(own)} of {n} laws{ends}"
    names = [f"{one.title} ({with_interval(v, None)})" for one, v in zip(own, levels, strict=False)] if values else []
    names = names or [one.title for one in own]
    joined = "; ".join(names) if any("," in name for name in names) else ", ".join(names)
    return f"in {joined}"


def _counted(every: Sequence[Answer]) -> str:
    """All laws of a study in a sentence."""
    kinds = Counter(one.kind for one in every)
    # Of one law, and of several.
    words = {
        SATURATES: ("levels off", "level off"),
        UNDECIDED: ("may or may not, as forms fit alike",) * 2,
        GROWS_ON: ("shows no end within the data", "show no end within the data"),
        LINE: ("is a straight line in log x", "are straight lines in log x"),
        FLAT: ("establishes no growth", "establish no growth"),
        UNCLEAR: ("does not identify where growth ends", "do not identify where growth ends"),
        UNTESTABLE: ("can't be tested with these data",) * 2,
    }
    parts = [f"{kinds[kind]} {both[kinds[kind] > 1]}" for kind, both in words.items() if kinds[kind]]
    judged = [one.stands for one in every if one.stands is not None]
    shaky = judged.count(False)
    rest = "rests" if shaky == 1 else "rest"
    ground = f" {shaky} of {len(judged)} {rest} on one group of points or more." if judged else ""
    return f"Of {len(every)} laws, {', '.join(parts)}.{ground}"
