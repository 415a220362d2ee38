"""Simulated brains: their settings with limits, and the areas of the simulated cortex."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from neuroscaling.core.errors import Problem, StudyError

ROI_CLASSES: dict[str, tuple[str, ...]] = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
}
"""Class of ROIs (the name of its mask and mapping files): its ROIs as the mapping names them, in the challenge's order.
"""

MAX_IMAGES = 360
"""Images of the digits' validation split; each is used once in an experiment."""

SIMULATED_BENCHMARKS = (
    "FreemanZiemba2013public.V1-pls",
    "FreemanZiemba2013public.V2-pls",
    "MajajHong2015public.V4-pls",
    "MajajHong2015public.IT-pls",
    "Rajalingham2018public-i2n",
)
"""Brain-Score's benchmarks whose recordings a simulated brain has."""

LIMITS = {
    "seed": (0, 2**32 - 1, "what numpy takes"),
    "stimuli": (100, MAX_IMAGES, "ten objects need ten test images in each of Brain-Score's 90/10 splits"),
    "neuroids_per_region": (2, 5000, ""),
    "repetitions": (2, 100, "the ceiling is the agreement of two halves of the repetitions"),
    "algonauts_subjects": (1, 8, "the Algonauts 2023 challenge has eight subjects"),
    "algonauts_train": (20, MAX_IMAGES, ""),
    "algonauts_test": (10, MAX_IMAGES, ""),
    "vertices": (30, 19004, "vertices of a left hemisphere; the right one has 8 % more"),
}


@dataclass(frozen=True)
class BrainSettings:
    """What determines a simulated brain, to the last bit of its arrays."""

    name: str = "simulated"
    seed: int = 0
    stimuli: int = 200
    neuroids_per_region: int = 20
    repetitions: int = 4
    algonauts_subjects: int = 2
    algonauts_train: int = 200
    algonauts_test: int = 60
    vertices: int = 120

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON can hold them."""
        return asdict(self)


def check_brain(brain: BrainSettings) -> None:
    """Raise StudyError with every value of a simulated brain that is out of range."""
    problems = [
        problem for key, limits in LIMITS.items() for problem in _range_problem(key, getattr(brain, key), limits)
    ]
    if not problems and (what := too_many_images(brain.algonauts_train, brain.algonauts_test)):
        total = brain.algonauts_train + brain.algonauts_test
        problems.append(Problem(what=what, where="simulated: algonauts_train + algonauts_test", value=total))
    if problems:
        raise StudyError(problems)


def too_many_images(train: int, test: int) -> str:
    """What is wrong with so many images of the simulated fMRI; empty where nothing is."""
    if train + test <= MAX_IMAGES:
        return ""
    return f"too many images: {train} + {test}, and at most {MAX_IMAGES} (the validation split of the digits)"


def _range_problem(key: str, value: Any, limits: tuple[int, int, str]) -> list[Problem]:
    low, high, why = limits
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return []
    allowed = f"a whole number from {low} to {high}" + (f" ({why})" if why else "")
    return [Problem(what="value out of range", where=f"simulated: {key}", value=value, allowed=allowed)]


@dataclass(frozen=True)
class Area:
    """A stretch of simulated cortex: its share of the vertices, its ROIs ("": none), the features it responds to."""

    share: float
    retinotopy: str
    stream: str
    features: str


AREAS = (
    Area(0.10, "V1v", "early", "V1"),
    Area(0.10, "V1d", "early", "V1"),
    Area(0.08, "V2v", "early", "V2"),
    Area(0.08, "V2d", "early", "V2"),
    Area(0.07, "V3v", "early", "V2"),
    Area(0.07, "V3d", "early", "V2"),
    Area(0.13, "hV4", "midventral", "V4"),
    Area(0.05, "", "midlateral", "V4"),
    Area(0.03, "", "midparietal", "V4"),
    Area(0.16, "", "ventral", "IT"),
    Area(0.07, "", "lateral", "IT"),
    Area(0.03, "", "parietal", "V4"),
    Area(0.02, "", "", "IT"),
    Area(0.01, "", "", "V1"),
)

FLOC = {
    "floc-bodies": {"EBA": (0.87, 0.93), "FBA-1": (0.73, 0.77), "FBA-2": (0.77, 0.80), "mTL-bodies": (0.80, 0.82)},
    "floc-faces": {
        "OFA": (0.60, 0.63),
        "FFA-1": (0.72, 0.76),
        "FFA-2": (0.76, 0.79),
        "mTL-faces": (0.79, 0.81),
        "aTL-faces": (0.82, 0.84),
    },
    "floc-places": {"OPA": (0.63, 0.68), "PPA": (0.82, 0.87), "RSC": (0.97, 0.99)},
    "floc-words": {
        "OWFA": (0.58, 0.62),
        "VWFA-1": (0.71, 0.75),
        "VWFA-2": (0.75, 0.78),
        "mfs-words": (0.78, 0.81),
        "mTL-words": (0.84, 0.87),
    },
}
"""Category-selective ROIs as stretches of the cortex, which goes from 0 to 1; those of two classes may overlap."""

TRAINING_SHARES = (1, 0.9, 0.92, 0.89, 1, 0.92, 1, 0.89)
TEST_SHARES = (1, 0.9, 0.74, 1, 0.8, 0.74, 0.8, 1)
VERTEX_SHARES = (1, 0.9, 1, 1, 1, 0.98, 1, 0.99)
"""Of the eight subjects: none has exactly another's images and vertices, as in the challenge."""
RIGHT_TO_LEFT = 20544 / 19004
"""Vertices of the right hemisphere for each of the left, as in the challenge."""

MISSING: dict[int, tuple[str, ...]] = {
    2: ("midlateral", "FFA-2", "mTL-words"),
    3: ("mTL-bodies",),
    4: ("aTL-faces", "FBA-2"),
    6: ("VWFA-2", "mTL-faces"),
    7: ("OWFA",),
    8: ("mTL-bodies", "RSC"),
}
"""ROIs that a subject lacks: not every subject of the challenge has each one."""

BROKEN: dict[tuple[int, str], str] = {(2, "lh"): "nan", (6, "rh"): "nan", (8, "lh"): "constant"}
"""Hemispheres whose last vertex can't be used, and why."""


def subject_sizes(settings: BrainSettings, number: int) -> tuple[int, int, dict[str, int]]:
    """Training images, test images, vertices by hemisphere of subject `number` (from 1)."""
    left = round(VERTEX_SHARES[number - 1] * settings.vertices)
    vertices = {"lh": left, "rh": round(RIGHT_TO_LEFT * left)}
    train = round(TRAINING_SHARES[number - 1] * settings.algonauts_train)
    return train, round(TEST_SHARES[number - 1] * settings.algonauts_test), vertices


def areas_of(n_vertices: int) -> list[Area]:
    """The area of each vertex of a hemisphere."""
    ends = np.round(np.cumsum([area.share for area in AREAS]) * n_vertices).astype(int)
    return [AREAS[np.searchsorted(ends, vertex, side="right")] for vertex in range(n_vertices)]


def roi_names(areas: list[Area], missing: Collection[str] = ()) -> dict[str, list[str]]:
    """Class of ROIs -> name at each vertex, "" where it has none; ROIs in `missing` are left out."""
    names = {
        "prf-visualrois": [area.retinotopy for area in areas],
        "streams": [area.stream for area in areas],
    }
    places = (np.arange(len(areas)) + 0.5) / len(areas)
    for mask_class, stretches in FLOC.items():
        names[mask_class] = [_at(place, stretches) for place in places]
    return {c: ["" if name in missing else name for name in names[c]] for c in ROI_CLASSES}


def _at(place: float, stretches: dict[str, tuple[float, float]]) -> str:
    return next((name for name, (start, stop) in stretches.items() if start <= place < stop), "")
