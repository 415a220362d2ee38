"""How many jobs a start would submit to a cluster now, by rule: from the rules' own questions and groups.

Each marker that a job asks for is the marker of another job (`study/rules.py`). So they are followed from the score
table backwards, as Snakemake does.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.planning.job_groups import job_groups
from neuroscaling.study.rules import Rules
from neuroscaling.study.wanted import Absent

OF_NETWORKS = ("train", "activations_slice", "activations", "layers", "brainscore", "encoding")
"""Rules whose jobs concern networks, in the order of the pipeline."""
OTHERS = ("pack", "simulate", "stimuli", "prepare_recording", "v4_assembly", "fits", "submission")
"""Further rules whose jobs are submitted; any other is the driver's own."""

Before = Callable[..., list[Path]]
"""What a job waits for, by what stands for its wildcards in its marker."""


@dataclass(frozen=True)
class Submissions:
    """Jobs by rule, those that are submitted alone; networks: how many networks they make, extract or score."""

    by_rule: dict[str, int]
    networks: int

    @property
    def of_networks(self) -> int:
        """The jobs that concern networks."""
        return sum(self.by_rule.get(rule, 0) for rule in OF_NETWORKS)


def submissions(absent: Absent) -> Submissions:
    """The jobs of a start on a cluster that begins now. absent: what has to be made."""
    ask = Rules(absent, job_groups(absent, on_cluster=True))
    jobs, networks = _jobs(ask)
    counts = Counter(jobs)
    results = ask.study.results
    scores = bool(ask.before_table())
    if ask.study.fits and (scores or not all(results.fit(name).is_file() for name in ask.study.fits)):
        counts["fits"] = 1
    counts["submission"] = sum(
        bool(ask.before_submission(name)) or not results.submission(name).is_file() for name in ask.submissions
    )
    return Submissions({rule: counts[rule] for rule in (*OTHERS, *OF_NETWORKS) if counts[rule]}, len(networks))


def _jobs(ask: Rules) -> tuple[list[str], set[str]]:
    """The rule of each job of the store that a start has, and the networks that they are for."""
    rules = _rules(ask)
    found: list[str] = []
    networks: set[str] = set()
    left = list(dict.fromkeys([*ask.before_table(), *ask.before_accuracy()]))
    seen = set(left)
    while left:
        marker = left.pop()
        if not marker.is_relative_to(ask.made):
            continue
        name = marker.relative_to(ask.made).as_posix()
        rule, wildcards, before = next((rule, match.groups(), before) for rule, pattern, before in rules
                                       if (match := pattern.fullmatch(name)))  # fmt: skip
        found.append(rule)
        if rule == "train":
            networks.update(ask.groups.to_train[wildcards[0]].runs)
        elif rule in OF_NETWORKS:
            job = wildcards[-1] if rule in ("brainscore", "encoding") else wildcards[0]
            networks.update(ask.groups.to_score[job].runs)
        for other in before(*wildcards):
            if other not in seen:
                seen.add(other)
                left.append(other)
    return found, networks


def _rules(ask: Rules) -> list[tuple[str, re.Pattern[str], Before]]:
    """Rules with the pattern of their markers, whose groups are wildcards, and what their jobs wait for."""

    def nothing(*wildcards: str) -> list[Path]:
        return []

    made: list[tuple[str, str, Before]] = [
        ("train", r"train/([^/]+)", ask.before_training),
        ("activations_slice", r"activations/([^/]+)/([^/]+)\.slices/\d+", ask.before_slice),
        ("activations", r"activations/([^/]+)/([^/]+)",
         lambda job, part: [*ask.before_extraction(job, part), *ask.slices(job, part)]),
        ("layers", r"commitments/([^/]+)", ask.before_choice),
        ("brainscore", r"scores/brainscore/([^/]+)/([^/]+)", lambda part, job: ask.before_brainscore(job, part)),
        ("encoding", r"scores/encoding/([^/]+)/([^/]+)", lambda part, job: ask.before_encoding(job, part)),
        ("stimuli", r"stimuli/([^/]+)/manifest\.json", ask.before_stimuli),
        ("simulate", r"simulated/.+", nothing),
        ("v4_assembly", r"recordings/v4-[^/]+/([^/]+)/manifest\.json", ask.v4_recordings),
        ("prepare_recording", r"recordings/.+", nothing),
        ("pack", r"packs/.+", nothing),
        ("local", r".+", nothing),
    ]  # fmt: skip
    return [(rule, re.compile(pattern), before) for rule, pattern, before in made]
