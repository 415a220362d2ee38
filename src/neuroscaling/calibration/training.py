"""Seconds of trainings, from what they do and from how fast a device is. Light: no torch, safe while a study is parsed.

`hours = sum over runs of (images seen x passes / training rate + images evaluated / evaluation rate + start) / 3600`,
where the first term is images seen / feeding rate if that is longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, log

from neuroscaling.calibration.gpus import GPUS, UTILISATION, Interval, kind_of_family, stated_rates, widened
from neuroscaling.calibration.training_rates import TrainingRate
from neuroscaling.calibration.work import Work, recipe_facts
from neuroscaling.models.names import architecture
from neuroscaling.runs import Run

START = Interval(20, 60, 120)
"""Seconds of a job before its first step: Python, torch, decoding, compilation."""
MARGIN = 1.3
# How far off a rate may be to either side: measured in 30 steps, or scaled by operations from another network's.
MEASURED, SCALED = 1.15, 1.6


@dataclass(frozen=True)
class Speed:
    """Images a second in training and in evaluation, and where the numbers are from, in words."""

    train: Interval
    evaluate: Interval
    source: str

    def computing(self, work: Work) -> Interval:
        """Seconds that a device computes for training."""
        return self.train.inverse().times(work.images_seen * work.passes)


@dataclass(frozen=True)
class Speeds:
    """What is known of a device. gpu: its name among GPUS, for what nobody measured; measured: rates of the store."""

    gpu: str
    measured: tuple[TrainingRate, ...] = ()

    def of(self, run: Run, macs: int) -> Speed:
        """Speed of `run`'s network of `macs`: measured, else scaled from its family, else a stated utilisation."""
        size, precision = architecture(run.arch).input_size, recipe_facts(run).precision
        usable = [rate for rate in self.measured if rate.precision == precision]
        own = next((rate for rate in usable if rate.arch == run.arch), None)
        if own:
            return Speed(widened(own.train, MEASURED), widened(own.evaluate, MEASURED), "measured")
        family = [rate for rate in usable if rate.family == run.family]
        if family:
            near = min(family, key=lambda rate: (abs(log(rate.macs / macs)), rate.arch))
            share = near.macs / macs
            scaled = [widened(rate * share, SCALED) for rate in (near.train, near.evaluate)]
            return Speed(scaled[0], scaled[1], f"scaled from {near.arch}")
        share = UTILISATION[kind_of_family(run.family)].expected
        return Speed(*stated_rates(self.gpu, run.family, macs, size), f"{100 * share:g} % of {GPUS[self.gpu].title}")


def run_seconds(work: Work, speed: Speed, feed: Interval | None = None) -> Interval:
    """Seconds of one run on one device, the job's start not counted.

    feed: images a second that its job's CPUs feed; None: images that are decoded once.
    """
    train = speed.computing(work)
    if feed:
        train = train.at_least(feed.inverse().times(work.images_seen))
    return train.plus(speed.evaluate.inverse().times(work.evaluated))


def waits_for_images(work: Work, speed: Speed, feed: Interval | None) -> bool:
    """Whether feeding, and not the device, is what limits a run."""
    return feed is not None and work.images_seen / feed.expected > speed.computing(work).expected


def job_seconds(runs: Iterable[Interval], gpus: int = 1) -> Interval:
    """Seconds of a job that makes `runs` one after another, each on `gpus` devices at once."""
    total = START
    for seconds in runs:
        total = total.plus(seconds.times(1 / gpus))
    return total


def limit_minutes(seconds: Interval) -> int:
    """Time limit of a job: its slow end with a margin of 1.3, in whole steps of 10 minutes."""
    return max(10 * ceil(MARGIN * seconds.high / 600), 10)
