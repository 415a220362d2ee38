"""A file of claims says what a study states of its laws, and by which fits each claim is judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.core.errors import Fault, Problem, StudyError, listing, nearest
from neuroscaling.study.sections.fits import Mode
from neuroscaling.study.sections.key_types import Section, Text
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.yaml_document import Document, read_document

Label = Annotated[str, Field(min_length=1, max_length=60)]
Labels = Annotated[list[Label], Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Pace(Section):
    """Whether scores level off, and whether others keep growing: the gain of the decade of x beyond the data over the
    mean gain a decade within them, below one half or above it."""

    example: ClassVar[str] = "{kind: pace, saturates: [Neural], grows: [Behaviour]}"

    kind: Literal["pace"] = Field(description="`pace`.")
    saturates: list[Label] = Field([], description="Labels of the fits whose scores level off.")
    grows: list[Label] = Field([], description="Labels of the fits whose scores keep growing.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Nothing that is stated."""
        if not self.saturates and not self.grows:
            yield ("saturates", "grows"), "name a fit that saturates, or one that grows"

    def labels(self) -> list[str]:
        """Labels of the fits that it is about."""
        return [*self.saturates, *self.grows]


class Rises(Section):
    """Whether the gain a decade of x within the data rises from fit to fit; with two fits, whether the slope of the
    second is above that of the first."""

    example: ClassVar[str] = "{kind: rises, order: [V1, IT]}"

    kind: Literal["rises"] = Field(description="`rises`.")
    order: Annotated[Labels, Field(min_length=2)] = Field(description="Labels of the fits, the lowest gain first.")
    highest: list[Label] = Field(
        [], description="Labels of the fits that must exceed the first with their whole intervals; by default the last."
    )
    left_at: float | None = Field(
        None,
        gt=0,
        description="Judge also A x^-alpha at this x / x_scale, the reducible misalignment that is left there (power "
        "laws).",
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Highest fits that are not in the order."""
        if unknown := [label for label in self.highest if label not in self.order[1:]]:
            yield ("highest",), f"`{unknown[0]}` is not in `order`, after its first"

    def labels(self) -> list[str]:
        """Labels of the fits that it is about."""
        return list(self.order)


class Above(Section):
    """Whether the curves of some fits lie above those of others at equal x."""

    example: ClassVar[str] = "{kind: above, first: [strong], second: [weak]}"

    kind: Literal["above"] = Field(description="`above`.")
    first: Labels = Field(description="Labels of the fits that lie above.")
    second: Labels = Field(description="Labels of the fits that lie below; each of the first is set against each.")
    at: Annotated[list[Share], Field(min_length=1)] = Field(
        [0.1, 0.5, 1.0], description="Where: shares of the range of log x that both have data for."
    )

    def labels(self) -> list[str]:
        """Labels of the fits that it is about."""
        return [*self.first, *self.second]


class ShareOf(Section):
    """Whether a parameter takes more than a share of the sum of two, such as alpha of alpha + beta."""

    example: ClassVar[str] = "{kind: share, of: alpha, beside: beta, called: share of data}"

    kind: Literal["share"] = Field(description="`share`.")
    of: Text = Field(description="The parameter.")
    beside: Text = Field(description="The other parameter.")
    above: Annotated[float, Field(gt=0, lt=1)] = Field(0.5, description="The share.")
    called: Text = Field("share", description="What the share is called in the report.")

    def labels(self) -> list[str]:
        """No labels of its own: it is judged of each fit by itself."""
        return []


class Asymptote(Section):
    """Whether the asymptote of one fit lies above that of another, both identified."""

    example: ClassVar[str] = "{kind: asymptote, first: IT, second: V1}"

    kind: Literal["asymptote"] = Field(description="`asymptote`.")
    first: Label = Field(description="Label of the fit whose asymptote is above.")
    second: Label = Field(description="Label of the other fit.")

    def labels(self) -> list[str]:
        """Labels of the fits that it is about."""
        return [self.first, self.second]


class BetterForm(Section):
    """Whether one form of law describes the points of each fit better than another: AICc lower by more than 2, and an
    error on what was held out that is no larger."""

    example: ClassVar[str] = "{kind: better_form, form: logistic, than: power_law}"

    kind: Literal["better_form"] = Field(description="`better_form`.")
    form: Text = Field(description="The form that is better.")
    than: Text = Field(description="The form that it is compared with.")

    def labels(self) -> list[str]:
        """No labels of its own: it is judged of each fit by itself."""
        return []


Statement = Annotated[Pace | Rises | Above | ShareOf | Asymptote | BetterForm, Field(discriminator="kind")]


class Control(Section):
    """The same statement of other fits, such as those of many images alone. Its fits are judged as they are named."""

    example: ClassVar[str] = "{lead: Many images alone., fits: {Neural: many_images_neuro}}"

    lead: str = Field("", max_length=1000, description="What is particular to these fits, for the report.")
    fits: dict[Label, Text] = Field(description="Names of the fits, by the labels of the statement.")


class Claim(Section):
    """A claim: what it says in words, what it states of which laws, and what it can't show."""

    example: ClassVar[str] = "{claim: IT saturates., statement: {kind: pace, saturates: [IT]}, fits: {IT: samples.IT}}"

    claim: Text = Field(description="The claim in words.")
    statement: Statement = Field(description="What is judged, by a stated rule (docs/claims.md).")
    fits: dict[Label, Text] = Field(description="Names of the fits, by the labels of the statement.")
    modes: list[Mode] = Field(
        [],
        description="[parity, corrected]: the fits as they are named and their corrected twins, <name>.corrected. "
        "Without it the fits as they are named.",
    )
    controls: list[Control] = Field([], description="Other fits that must say the same.")
    forms_of: Literal["all", "controls", "fits"] = Field(
        "all", description="Fits whose other forms of law are asked too: `fits`, `controls` or `all`; never of parity."
    )
    limits: str = Field("", max_length=2000, description="What the numbers can't tell, for the report.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Labels of the statement that have no fit."""
        labels = self.statement.labels()
        for key, fits in (("fits", self.fits), *(("controls", control.fits) for control in self.controls)):
            if missing := [label for label in labels if label not in fits]:
                yield (key,), f"no fit is named for `{missing[0]}` of the statement"

    def asked_modes(self) -> list[str]:
        """Its modes; an empty text for the fits as they are named."""
        return list(self.modes) or [""]

    def name_in(self, mode: str, name: str) -> str:
        """The name of a fit in one of its modes."""
        return f"{name}.corrected" if mode == "corrected" and len(self.modes) > 1 else name

    def names(self) -> Iterator[str]:
        """Names of all fits that it is judged by."""
        for mode in self.asked_modes():
            yield from (self.name_in(mode, name) for name in self.fits.values())
        for control in self.controls:
            yield from control.fits.values()


class ClaimFile(Section):
    """A file of claims: `claims:` holds a list."""

    claims: list[Claim] = Field(description="The claims to judge.")


def read_claim_file(path: str | Path) -> tuple[ClaimFile | None, Document, list[Fault]]:
    """What can be used of a file of claims, its document, and what is wrong with it. Raises StudyError where the file
    is missing or no YAML."""
    document = read_document(path, "file of claims", "correct the path under `claims:`")
    found, left, faults = validated(ClaimFile, document)
    return found, left, faults


def load_claim_file(path: str | Path) -> ClaimFile:
    """Read and check a file of claims. Raises StudyError with everything that is wrong with it."""
    found, document, faults = read_claim_file(path)
    if faults or found is None:
        raise StudyError(document.problems(faults))
    return found


def unknown_fits(claims: ClaimFile, document: Document, known: list[str]) -> Iterator[Fault]:
    """Names of fits that the study does not have."""
    for i, claim in enumerate(claims.claims):
        for name in dict.fromkeys(claim.names()):
            if name not in known:
                problem = Problem(
                    what="the study has no such fit", where="", value=name, allowed=listing(known, 40),
                    nearest=nearest(name, known), fix="add the fit, or correct its name",
                )  # fmt: skip
                yield Fault(document.in_file(("claims", i)), problem)
