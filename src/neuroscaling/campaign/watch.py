"""What a campaign does now: what is done, what runs and where, what waits and why, what failed, what others make.

Nothing is written. Who makes an artefact holds its lease; how far it is tells its progress record; what a job tried is
beside its log; and Slurm tells what waits. A failure of the network itself is in the record of its run.
"""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.campaign.job_artefacts import (
    ACTIVATIONS,
    FITS,
    LAYERS,
    REPORT,
    SCORES,
    STAGE_OF,
    STIMULI,
    TRAIN,
    JobArtefacts,
    job_name,
    name_in_log,
)
from neuroscaling.core.errors import DataError
from neuroscaling.core.leases import holder_in, is_held, lock_of
from neuroscaling.core.progress import Progress, progress_beside, progress_of_run, read_progress
from neuroscaling.core.records import FAILED, FAILURE_RECORD, unchecked_record
from neuroscaling.core.tries import CUT_OFF, SUFFIX, Try, cut_off, log_of, moment, read_tries
from neuroscaling.core.tries import FAILED as ENDED_BADLY
from neuroscaling.study.executor_choice import choice_file, read_choice
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.slurm_queue import Job, earlier_jobs, reason_in_words
from neuroscaling.study.wanted import Absent, Inventory, Targets

SILENT = 600.0
"""Seconds without a heartbeat after which a lease of another machine is told as silent."""
KILLED = "it ended without a word: killed, out of memory, or out of time"


@dataclass(frozen=True)
class Failed:
    """Something that failed. name: of the run or job; artefacts: how many it lacks; tries: 0 where nobody counted."""

    stage: str
    name: str
    reason: str
    log: str = ""
    tries: int = 0
    artefacts: int = 1
    recorded: bool = False
    """Whether the run left a record of its failure: it is no artefact that is left."""
    lasting: bool = False
    """Whether the same settings would fail again: the record of the run says so."""


@dataclass(frozen=True)
class Running:
    """Something that is being made. where: host and Slurm job; since: UTC; progress: None where it leaves no record.

    ours: by a job of this folder; silent: no sign of life for a while.
    """

    stage: str
    name: str
    where: str
    user: str
    since: str
    ours: bool
    progress: Progress | None = None
    silent: bool = False


@dataclass(frozen=True)
class Waiting:
    """A job in Slurm's queue. why: Slurm's reason in words; artefacts: how many it will make."""

    stage: str
    name: str
    job: str
    why: str
    artefacts: int = 1


@dataclass
class Stage:
    """One stage: the paths of what the study wants, and of those how many are done, and which run, wait, failed."""

    name: str
    wanted: list[Path]
    done: list[Path] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    held: list[Running] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    hopeless: int = 0
    """Nobody will make so many: their run failed."""
    gpu_seconds: float = 0.0
    """Of all tries of this folder's jobs."""
    cpu_seconds: float = 0.0
    """Of the cores of those without a GPU."""

    @property
    def n_failed(self) -> int:
        """How many will not be made by themselves."""
        return sum(max(one.artefacts, 1) for one in self.failed) + self.hopeless

    @property
    def n_left(self) -> int:
        """How many are neither done nor failed."""
        return max(len(self.left) - self._crashed, 0)

    @property
    def _crashed(self) -> int:
        return sum(one.artefacts for one in self.failed)


@dataclass
class JobTries:
    """The tries of one job, with its rule, the name of its log, and what it makes."""

    rule: str
    name: str
    log: Path
    tries: list[Try]
    makes: list[Path]


class Watch:
    """One look at a campaign, in the folder that its driver works in."""

    def __init__(self, study: LoadedStudy, folder: Path = Path()):
        self.study, self.folder = study, folder
        self.targets = Targets(study)
        self.inventory = Inventory(study.store)
        self.absent = Absent(self.targets, self.inventory)
        self.jobs = JobArtefacts(self.absent, read_choice(choice_file(study.config.study, folder)))
        self.queue_problem = ""

    @cached_property
    def queue(self) -> list[Job]:
        """The jobs of this folder that Slurm has; none where it does not answer."""
        try:
            return earlier_jobs(self.folder, tries=1)
        except DataError as error:
            self.queue_problem = error.problems[0].what
            return []

    @cached_property
    def stages(self) -> list[Stage]:
        """The stages of the study in their order, with what is known of each."""
        found = {stage.name: stage for stage in self._wanted()}
        alive = self._told_by_tries(found)
        for stage in found.values():
            self._told_by_leases(stage, alive)
        self._told_by_queue(found)
        return [stage for stage in found.values() if stage.wanted or stage.failed or stage.running or stage.waiting]

    @cached_property
    def tries(self) -> list[JobTries]:
        """The tries of all jobs of this study that ran in this folder."""
        found = []
        for root, of in ((self.folder / "logs", self.jobs.of), (self.study.results.root / "logs", None)):
            for path in _files(root):
                rule, _, name = path.relative_to(root).as_posix().removesuffix(SUFFIX).partition("/")
                tries = read_tries(path)
                if not tries:
                    continue
                makes = of(rule, name, tries[-1].runs) if of else self.jobs.of_study(rule, name or rule)
                if makes is not None:
                    found.append(JobTries(rule, name, log_of(path), tries, makes))
        return found

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """What run.json, or failed.json in its place, states of each run that has one."""
        found = {}
        for run, path in zip(self.study.runs, self.targets.run_files, strict=True):
            for place in (path, path.with_name(FAILURE_RECORD)):
                if self.inventory.has(place):
                    found[run] = unchecked_record(self.targets.store.find(place))
                    break
        return found

    def _wanted(self) -> Iterator[Stage]:
        targets, store = self.targets, self.study.store
        failed = {run for run, record in self.records.items() if record.get("status") == FAILED}
        lasting = {run for run in failed if not self.absent(store.run(run) / "run.json")}
        train = self._stage(TRAIN, targets.run_files)
        train.failed = [self._failed_run(run, run in lasting) for run in self.study.runs if run in failed]
        gone = {store.run(run) / "run.json" for run in failed}
        train.done = [path for path in train.done if path not in gone]
        train.left = [path for path in train.left if path not in gone]
        yield train
        yield self._stage(STIMULI, [store.stimuli(name) / "manifest.json" for name in targets.sets])
        yield self._stage(ACTIVATIONS, targets.all_activations.values(), {
            path for (run, _), path in targets.all_activations.items() if run in lasting
        })  # fmt: skip
        if targets.references:
            chosen = {one.path(store): run.run for run in targets.references for one in targets.commitments(run)}
            yield self._stage(LAYERS, chosen, {path for path, run in chosen.items() if run in lasting})
        scores = {score.path(store): score for score in targets.scores}
        lost = {path for path, one in scores.items() if one.run in lasting or one.chosen_on in lasting}
        yield self._stage(SCORES, scores, lost)
        yield self._stage(FITS, [self.study.results.fit(name) for name in self.study.fits])
        yield self._stage(REPORT, [self.study.results.report])

    def _stage(self, name: str, wanted: Iterable[Path], lost: set[Path] | frozenset[Path] = frozenset()) -> Stage:
        """A stage with what is there. lost: what nobody will make where it is absent."""
        stage, own = Stage(name, list(wanted)), name in (FITS, REPORT)
        for path in stage.wanted:
            if path.is_file() if own else not self.absent(path):
                stage.done.append(path)
            elif path in lost:
                stage.hopeless += 1
            else:
                stage.left.append(path)
        return stage

    def _failed_run(self, run: str, lasting: bool) -> Failed:
        reason = str(self.records[run].get("problem") or "no reason is given")
        log, tries = self._log_of_run.get(run, ("", 0))
        return Failed(TRAIN, run, " ".join(reason.split()), log, tries, 0, recorded=True, lasting=lasting)

    @cached_property
    def _log_of_run(self) -> dict[str, tuple[str, int]]:
        """The log of the last job that made each run, and how many tries named it."""
        found: dict[str, tuple[str, int]] = {}
        for job in sorted((job for job in self.tries if job.rule == "train"), key=lambda job: job.tries[-1].began):
            for run in dict.fromkeys(run for one in job.tries for run in one.runs):
                before = found.get(run, ("", 0))[1]
                found[run] = (str(job.log), before + sum(run in one.runs for one in job.tries))
        return found

    def _told_by_tries(self, stages: dict[str, Stage]) -> dict[Path, Try]:
        """Add what jobs took and how they failed; what jobs that live make, with the try that does."""
        alive: dict[Path, Try] = {}
        latest = self._latest
        for job in self.tries:
            stage = stages.setdefault(STAGE_OF.get(job.rule, job.rule), Stage(STAGE_OF.get(job.rule, job.rule), []))
            last = job.tries[-1]
            # What another job tried later is told of that one: groups of runs are others at each start.
            makes = [path for path in job.makes if latest[path] is job]
            left = [path for path in makes if path in self._left(stage)] if stage.wanted else makes
            if not last.outcome and self._lives(last):
                alive |= dict.fromkeys(left, last)
                if not any(map(self._is_leased, left)):
                    name = _named(job, left) if len(left) == 1 else job_name(job.rule, job.name)
                    stage.running.append(Running(stage.name, name, _where(last.host, last.slurm_job_id), last.user,
                                                 last.began, True))  # fmt: skip
            elif not last.outcome:
                last = job.tries[-1] = cut_off(last, job.log)
            stage.gpu_seconds += sum(one.gpu_seconds for one in job.tries)
            stage.cpu_seconds += sum(one.cpu_seconds for one in job.tries)
            if last.outcome in (ENDED_BADLY, CUT_OFF) and (left or not job.makes):
                stage.failed += self._failures(stage, job, left)
        return alive

    @cached_property
    def _latest(self) -> dict[Path, JobTries]:
        """The job that began last of those that make each artefact."""

        def began(job: JobTries) -> tuple[str, bool]:
            return job.tries[-1].began, not job.tries[-1].outcome

        return {path: job for job in sorted(self.tries, key=began) for path in job.makes}

    def _failures(self, stage: Stage, job: JobTries, left: list[Path]) -> Iterator[Failed]:
        """What a job failed to make: each run of a training that left a reason of its own, else the job as a whole."""
        last = job.tries[-1]
        reason = last.reason or KILLED
        names = [path.parent.name for path in left] if job.rule == "train" else []
        for run in names or [job_name(job.rule, job.name)]:
            own = read_progress(progress_of_run(self.study.store.run(run))) if names else None
            tries = self._log_of_run.get(run, ("", 0))[1] if names else len(job.tries)
            told = own.problem if own and own.problem and moment(own.updated) >= moment(last.began) else reason
            yield Failed(stage.name, run, told, str(job.log), tries, 1 if names else len(left))

    def _left(self, stage: Stage) -> frozenset[Path]:
        if stage.name not in self._sets:
            self._sets[stage.name] = frozenset(stage.left)
        return self._sets[stage.name]

    @cached_property
    def _sets(self) -> dict[str, frozenset[Path]]:
        return {}

    def _lives(self, one: Try) -> bool:
        """Whether a try without an end goes on: as the kernel or Slurm says, else as long as something of it beats."""
        alive = one.is_alive()
        if alive is not None:
            return alive
        if one.slurm_job_id and self.queue:
            return any(job.id == one.slurm_job_id and not job.waits for job in self.queue)
        return any(self._is_leased(self.study.store.run(run) / "run.json") for run in one.runs)

    def _leased(self, path: Path) -> Path:
        """What is leased for an artefact: a run and a stimulus set are folders."""
        return path.parent if path.name in ("run.json", "manifest.json") else path

    def _is_leased(self, path: Path) -> bool:
        return self.inventory.has(lock_of(self._leased(path)))

    def _told_by_leases(self, stage: Stage, alive: dict[Path, Try]) -> None:
        """Add what is being made, by jobs of this folder and by others; it has not failed then."""
        if stage.name in (FITS, REPORT):
            return
        for path in stage.left:
            leased = self._leased(path)
            if not self._is_leased(path) or not is_held(leased):
                continue
            holder = holder_in(lock_of(leased))
            if holder is None:
                continue
            record = progress_of_run(leased) if stage.name == TRAIN else progress_beside(leased)
            progress = read_progress(record)
            name = leased.name if stage.name in (TRAIN, STIMULI) else self.study.store.name_of(leased)
            ours = path in alive or (holder.job in {job.id for job in self.queue} if holder.job else False)
            running = Running(stage.name, name, _where(holder.host, holder.job), holder.user, f"{holder.since}+00:00",
                              ours, progress, _silence(lock_of(leased)) > SILENT)  # fmt: skip
            (stage.running if ours else stage.held).append(running)
        made = {one.name for one in (*stage.running, *stage.held)}
        stage.failed = [one for one in stage.failed if one.name not in made]

    def _told_by_queue(self, stages: dict[str, Stage]) -> None:
        """Add the jobs that wait; what they make has not failed."""
        for job in self.queue:
            if not job.waits:
                continue
            rule, _, queued = job.what.partition(" ")
            rest = name_in_log(rule, queued)
            name = STAGE_OF.get(rule, rule)
            stage = stages.setdefault(name, Stage(name, []))
            makes = (self.jobs.of(rule, rest) if rule == "train" else None) or []
            called = job_name(rule, rest)
            stage.waiting.append(Waiting(name, called, job.id, reason_in_words(job.reason), max(len(makes), 1)))
            runs = {path.parent.name for path in makes}
            stage.failed = [one for one in stage.failed if one.lasting or one.name not in (*runs, called)]


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(SUFFIX))


def _named(job: JobTries, left: list[Path]) -> str:
    return left[0].parent.name if job.rule == "train" else job_name(job.rule, job.name)


def _where(host: str, job: str | None) -> str:
    return f"{host}, Slurm job {job}" if job else host


def _silence(lock: Path) -> float:
    """Seconds since a lease was touched, by this machine's clock, which may differ from the disk's: a hint alone."""
    try:
        return time.time() - lock.stat().st_mtime
    except OSError:
        return 0.0
