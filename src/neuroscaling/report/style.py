"""Colours, markers and axis words are the same in all figures.

Colours: the hues of Okabe & Ito, which colour-blind readers can tell apart, darkened until marks have a contrast of 3:1
with white paper, and lightened for a dark page (WCAG 2.2, 1.4.11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

INK, MUTED, WARNING = "#1a1a1a", "#5f6368", "#b3400a"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    "#0065A4", "#A67800", "#00876A", "#C94A00", "#B85C91", "#2E86C1", "#857A00",
)  # fmt: skip
PAPER, DARK_PAPER = "#ffffff", "#16191d"
ON_DARK = {
    BLUE: "#4BA3DB", ORANGE: "#E69F00", GREEN: "#2DBE94", VERMILION: "#F07B2E", PURPLE: "#DB8FB9", SKY: "#7CC8F2",
    YELLOW: "#CFC02A", MUTED: "#9aa0a6", INK: "#e8eaed", WARNING: "#ff9a5c",
}  # fmt: skip
"""The colours above, as a dark page shows them."""


@dataclass(frozen=True)
class Look:
    """Colour and marker of a family: told apart twice, so that black-and-white print works.

    sign: the marker as text.
    """

    color: str
    marker: str
    sign: str


LOOKS = {
    "resnet": Look(BLUE, "o", "●"),
    "vit": Look(VERMILION, "s", "■"),
    "convnext": Look(GREEN, "^", "▲"),
    "efficientnet": Look(ORANGE, "D", "◆"),
    "cornet": Look(PURPLE, "v", "▼"),
    "alexnet": Look(SKY, "P", "✚"),
    "baseline": Look(INK, "X", "✖"),
}
NO_FAMILY = Look(BLUE, "o", "●")
OTHER = [Look(YELLOW, "*", "★"), Look(MUTED, "h", "⬢"), Look(PURPLE, "p", "⬟"), Look(GREEN, "<", "◀")]
SHAPES = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross",
    "<": "triangle-left", ">": "triangle-right",
    "X": "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
    "*": "M0,-1.2L.28,-.39L1.14,-.37L.46,.15L.71,.97L0,.48L-.71,.97L-.46,.15L-1.14,-.37L-.28,-.39Z",
    "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
}  # fmt: skip
"""The markers of matplotlib as shapes of Vega: names, or paths in a square from -1 to 1."""
CURVE = INK
Dash = str | tuple[float, Sequence[float]]


@dataclass(frozen=True)
class FormLook:
    """How a form of law looks where several are compared: its name in a word or two, colour, dashes, dashes as text."""

    words: str
    color: str
    dash: Dash
    sign: str


FORM_LOOKS = {
    "log_linear": FormLook("log-linear", MUTED, (0, (5, 2)), "╌╌"),
    "sqrt_saturating": FormLook("square root", GREEN, (0, (6, 2, 1, 2)), "╌·╌"),
    "logistic": FormLook("logistic", VERMILION, (0, (1, 1.5)), "┈┈"),
    "power_law_ceiling": FormLook("power law, ceiling", PURPLE, (0, (2, 3)), "╴ ╴"),
    "power_law": FormLook("power law", WARNING, (0, (8, 2, 1, 2, 1, 2)), "╌··╌"),
    "power_law_shift": FormLook("power law shift", WARNING, (0, (8, 2, 1, 2)), "╌·"),
    "broken_power_law": FormLook("broken power law", PURPLE, (0, (8, 2, 2, 2)), "╌─"),
    "linear": FormLook("linear", MUTED, (0, (2, 2)), "╴╴"),
    "data_constrained": FormLook("data-constrained", WARNING, (0, (3, 1, 1, 1)), "╌╴"),
    "chinchilla": FormLook("chinchilla", WARNING, (0, (3, 1)), "╌"),
}


def form_look(form: str) -> FormLook:
    """The look of a form; forms from outside the package share one."""
    return FORM_LOOKS.get(form) or FormLook(form.replace("_", " "), WARNING, (0, (1, 1)), "┄┄")


AXES = {
    "n_samples": "Training images",
    "n_samples_seen": "Images seen in training",
    "samples_per_class": "Training images per class",
    "passes": "Passes over the training images",
    "n_params": "Parameters",
    "total_flops": "Training compute (FLOPs)",
    "flops": "FLOPs per image",
    "n_mapping": "Images that fit the mapping",
    "score": "Score",
    "loss": "Loss",
    "raw": "Correlation r",
    "acc": "Validation accuracy",
}
SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
}


def looks(families: list[str]) -> dict[str, Look]:
    """A look for each family; families beyond the known ones get the spare looks in alphabetical order."""
    found: dict[str, Look] = {}
    spare = iter(OTHER * (1 + len(families) // len(OTHER)))
    for family in sorted(set(families)):
        if not family:
            found[family] = NO_FAMILY
            continue
        known = next((look for name, look in LOOKS.items() if family.lower().startswith(name)), None)
        found[family] = known or next(spare)
    return found


def axis_label(column: str) -> str:
    """The label of an axis, with its unit."""
    return AXES.get(column, column.replace("_", " "))
