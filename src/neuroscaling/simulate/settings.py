"""Settings of a simulated brain, with defaults and validation."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from neuroscaling.errors import Problem, StudyError, nearest

MAX_IMAGES = 360
"""Images of the digits' validation split; each is used once in an experiment."""

BENCHMARKS = (
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


def check_settings(settings: dict[str, Any]) -> BrainSettings:
    """`settings` with defaults filled in. Raises StudyError with every unknown key and every value out of range."""
    known = [field.name for field in fields(BrainSettings)]
    problems = [
        Problem("unknown setting of a simulated brain", f"simulated: {key}", key, ", ".join(known), nearest(key, known))
        for key in settings
        if key not in known
    ]
    brain = BrainSettings(**{key: value for key, value in settings.items() if key in known})
    problems += [
        problem for key, limits in LIMITS.items() for problem in _range_problem(key, getattr(brain, key), limits)
    ]
    if not problems and (what := too_many_images(brain.algonauts_train, brain.algonauts_test)):
        total = brain.algonauts_train + brain.algonauts_test
        problems.append(Problem(what, "simulated: algonauts_train + algonauts_test", total))
    if problems:
        raise StudyError(problems)
    return brain


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
    return [Problem("value out of range", f"simulated: {key}", value, allowed)]
