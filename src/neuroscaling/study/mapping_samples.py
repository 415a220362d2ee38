"""Numbers of mapping images that a study asks of Brain-Score's benchmarks. Light: the Snakefile imports it."""

from collections.abc import Iterator
from math import floor

from neuroscaling.core.errors import Fault, Problem, listing, nearest
from neuroscaling.regression.mapping_images import SampleSize, too_many_images
from neuroscaling.study.benchmarks import BENCHMARKS
from neuroscaling.study.sections.recordings import BrainScore

TRAIN_SHARE = 0.9
"""Of the stimuli, in each of Brain-Score's own splits."""
FITTED = ("pls", "ridge", "ridgecv", "dual_ridge", "dual_ridgecv", "neuron_to_neuron")
"""Metrics that fit a mapping. Of behaviour's readout (i2n) no such number is asked: docs/brainscore.md says why."""


def fits_mapping(settings: BrainScore, benchmark: str) -> bool:
    """Whether the metric of a benchmark, defined in the study or registered, fits a mapping to the recordings."""
    known = settings.define.get(benchmark) or BENCHMARKS.get(benchmark)
    return known is not None and known.metric in FITTED


def samples_of(settings: BrainScore, benchmark: str) -> list[SampleSize]:
    """The numbers of mapping images of a benchmark, ascending, `all` last; empty where no mapping is fitted."""
    if not fits_mapping(settings, benchmark):
        return []
    asked = settings.samples.get(benchmark, ["all"]) if isinstance(settings.samples, dict) else settings.samples
    found: list[SampleSize] = [*sorted({size for size in asked if size != "all"})]
    return [*found, "all"] if "all" in asked else found


def sample_faults(settings: BrainScore) -> Iterator[Fault]:
    """Numbers for what is no benchmark of the study, or for one that fits no mapping."""
    for name in settings.samples if isinstance(settings.samples, dict) else ():
        place = ("brainscore", "samples", name)
        if name not in settings.benchmarks:
            fix, near = "name it in `benchmarks` too", nearest(name, settings.benchmarks)
            what, allowed = "not a benchmark of this study", listing(settings.benchmarks)
            yield Fault(place, Problem(what=what, where="", value=name, allowed=allowed, nearest=near, fix=fix))
        elif not fits_mapping(settings, name):
            what = "this benchmark fits no mapping to recordings, so it has no number of mapping images"
            yield Fault(place, Problem(what=what, where="", value=name, fix="leave it out"))


def size_faults(settings: BrainScore, n_stimuli: dict[str, int], given: bool = False) -> Iterator[Fault]:
    """Numbers above the training images of a benchmark. n_stimuli: by benchmark, of all its splits' images; given: of
    the training images themselves, where these are given."""
    for name, n in n_stimuli.items():
        most = n if given else floor(TRAIN_SHARE * n)
        larger = [size for size in samples_of(settings, name) if size != "all" and size > most]
        if larger:
            place = ("brainscore", "samples", *([name] if isinstance(settings.samples, dict) else []))
            yield Fault(place, too_many_images(name, larger, most))
