"""Which artefacts each job of a study makes, by the name of its log: a log, or a job in a queue, tells what it is for.

`logs/<rule>/<name>.log` is the log of a job of the store, `results/<study>/logs/<rule>/<name>.log` that of one of the
study. Other studies in the folder have logs beside them.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neuroscaling.core.records import RUN_RECORD
from neuroscaling.planning.job_groups import job_groups
from neuroscaling.study.benchmark_names import MAKERS
from neuroscaling.study.job_parts import PART, WHOLE, Parts
from neuroscaling.study.run_groups import RunGroups
from neuroscaling.study.wanted import Absent

TRAIN, STIMULI, ACTIVATIONS, LAYERS, SCORES, FITS, REPORT = (
    "train", "stimuli", "activations", "layers", "scores", "fits", "report",
)  # fmt: skip
STAGE_OF = {
    "train": TRAIN, "stimuli": STIMULI, "activations": ACTIVATIONS, "layers": LAYERS, "brainscore": SCORES,
    "encoding": SCORES, "fit": FITS, "report": REPORT,
}  # fmt: skip
"""The stage of `status` that a rule belongs to; any other rule stands for itself."""


def job_name(rule: str, name: str) -> str:
    """What a job is called in its stage: jobs of Brain-Score and of encoding are of one stage, and of the same runs."""
    return f"{rule} {name}" if name and STAGE_OF.get(rule) == SCORES else name or rule


IN_PARTS = ("activations", "brainscore", "encoding")
"""Rules whose jobs are named by their runs and by their part of the stimulus sets or recordings."""
QUEUED = re.compile(rf"(?:(?P<part>{PART})_)?(?P<runs>.+?)(?:_(?P<last>{PART}))?")


def name_in_log(rule: str, queued: str) -> str:
    """The name of the log of a job in Slurm's queue. queued: its wildcards there, in the order of the rule's output."""
    found = QUEUED.fullmatch(queued) if rule in IN_PARTS else None
    part = found and (found["part"] or found["last"])
    return f"{found['runs']}/{part}" if found and part else queued


@dataclass(frozen=True)
class JobArtefacts:
    """The jobs of a study, and what they make. absent: what has to be made; on_cluster: as `job_groups` takes it."""

    absent: Absent
    on_cluster: bool = False

    @cached_property
    def groups(self) -> RunGroups:
        """The runs that share jobs, as a start that begins now has them.

        Groups of trainings of an earlier start had more runs: what these jobs make, their tries tell.
        """
        return job_groups(self.absent, self.on_cluster)

    def of(self, rule: str, name: str, runs: tuple[str, ...] = ()) -> list[Path] | None:
        """What the job of `rule` makes whose log is called `name`; None for a job of another study.

        runs: that the job says it makes, where it does; a group of trainings is another one at each start, and so is
        one whose activations are extracted with them.
        """
        study, store = self.absent.targets.study, self.absent.targets.store
        if rule == "train":
            own = runs or (self.groups.to_train[name].runs if name in self.groups.to_train else (name,))
            return [store.run(run) / RUN_RECORD for run in own if run in study.runs] or None
        known = self._known.get((rule, name))
        if known is None and rule == ACTIVATIONS and name.endswith(f"/{WHOLE}"):
            known = [path for (run, _), path in self.absent.targets.all_activations.items() if run in runs]
        return known or None

    def of_study(self, rule: str, name: str) -> list[Path] | None:
        """The same of the study's own jobs; nothing where no single file stands for what they make."""
        study = self.absent.targets.study
        if rule == "fit":
            return [study.results.fit(name)] if name in study.fits else None
        return [study.results.report] if rule == "report" else []

    @cached_property
    def _known(self) -> dict[tuple[str, str], list[Path]]:
        targets, found = self.absent.targets, dict[tuple[str, str], list[Path]]()
        label, parts = self.groups.scored_by, Parts.of(self.absent.targets)
        slices = targets.study.config.extraction.slices
        for (run, stimuli), path in targets.all_activations.items():
            names = [parts.part_of[stimuli], *(f"{stimuli}-{number}" for number in range(slices if slices > 1 else 0))]
            for name in names:
                found.setdefault(("activations", f"{label[run]}/{name}"), []).append(path)
        scored_in = {
            **{(one.data, benchmark): part for part, jobs in parts.brainscore.items() for one in jobs
               for benchmark in one.benchmarks},
            **{(one.data, one.benchmark): part for part, subjects in parts.subjects.items() for one in subjects},
        }  # fmt: skip
        for score in targets.scores:
            name = f"{label[score.run]}/{scored_in[score.data, score.benchmark]}"
            found.setdefault((score.stage, name), []).append(score.path(targets.store))
        for reference in targets.references:
            chosen = [one.path(targets.store) for one in targets.commitments(reference)]
            found.setdefault(("layers", label[reference.run]), []).extend(chosen)
        for path in targets.inputs():
            name = targets.store.name_of(path)
            for rule, pattern in MAKERS:
                if groups := pattern.fullmatch(name):
                    found.setdefault((rule, "-".join(groups.groups())), []).append(path)
        return found
