"""A campaign half done, made by hand: runs that are done, fail, are made by this process, by others, and are left."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.lease_holders import this_process
from neuroscaling.core.leases import held, lock_of
from neuroscaling.core.logs import script_logging
from neuroscaling.core.progress import Progress, progress_of_run, utc_now, write_progress
from neuroscaling.core.tries import begin_try
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.wanted import Targets
from tests.support.run_records import run_content, write_run

STUDY = {
    "study": "half",
    "title": "Half a campaign",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {"archs": ["resnet_w8", "vit_w16"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [1, 10],
         "seeds": [0, 1]}
    ],
    "simulated": {"brain": {"stimuli": 100}},
    "brainscore": {"data": {"simulated": "brain"}, "benchmarks": ["MajajHong2015public.IT-pls"]},
}  # fmt: skip


@dataclass
class Campaign:
    """The study of a campaign, in the current folder. runs: their names, in the order of the run table."""

    study: LoadedStudy
    runs: list[str]

    def folder(self, run: str) -> Path:
        """The folder of a run."""
        return self.study.store.run(run)

    def log(self, run: str) -> Path:
        """The log of the job that makes a run."""
        return Path("logs/train") / f"{run}.log"

    def dates(self) -> dict[Path, int]:
        """When each file here was changed, but for leases: the heart of what is made here beats now and then."""
        leases = {lock_of(self.folder(run)) for run in self.runs}
        return {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path not in leases}

    def done(
        self, run: str, seconds: float = 100.0, hours_ago: float = 1.0, device: str = "cuda", **changes: object
    ) -> Path:
        """A run that is there, and was finished some hours ago."""
        made = {"provenance": {"seconds": seconds, "device": device}}
        self.folder(run).mkdir(parents=True, exist_ok=True)
        path = write_run(self.folder(run) / "run.json", run_content(run, **made, **changes))
        date = datetime.now(UTC).timestamp() - 3600 * hours_ago
        os.utime(path, (date, date))
        return path

    def given_up(self, run: str) -> Path:
        """A run that failed for good."""
        return self.done(run, status="failed", problem="the loss is no longer finite", lasting=True)

    def crashed(self, run: str, tries: int = 2) -> None:
        """A run whose job ended with an error, more than once."""
        self.log(run).parent.mkdir(parents=True, exist_ok=True)
        for _ in range(tries):
            try:
                with script_logging(str(self.log(run)), [run], 1):
                    raise DataError(Problem(what="images are damaged", where="digits"))
            except SystemExit:
                pass

    def killed(self, run: str, seconds: float = 7200.0) -> None:
        """A run whose job was killed so many seconds after it began."""
        self.log(run).parent.mkdir(parents=True, exist_ok=True)
        begun = begin_try(self.log(run), [run], 1)
        began = datetime.now(UTC) - timedelta(seconds=seconds)
        content = {
            key: value for key, value in vars(begun).items() if key not in ("ended", "seconds", "outcome", "reason")
        }
        dead = content | {"began": began.isoformat(timespec="seconds"), "pid": 2**22 + 1, "runs": [run]}
        self.log(run).with_name(f"{run}.tries.jsonl").write_text(json.dumps(dead) + "\n")
        self.log(run).touch()

    @contextmanager
    def made_here(self, run: str) -> Iterator[None]:
        """A run that this process makes, as a job of this folder."""
        begin_try(self.log(run), [run], 1)
        with held(self.folder(run), f"run {run}"):
            self.progress(run)
            yield

    def progress(self, run: str, **changes: object) -> None:
        """The record of a training that has done 30 of 100 steps, at its second try."""
        made = Progress(
            name=run, stage="training", unit="steps", done=30, total=100, epoch=3, epochs=10, loss=2.345, accuracy=0.41,
            images_per_second=850.0, seconds=3600.0, seconds_left=8400.0, attempt=2, started=utc_now(),
            updated=utc_now(), host="gpu1", user="anna", pid=1,
        )  # fmt: skip
        progress_of_run(self.folder(run)).parent.mkdir(parents=True, exist_ok=True)
        write_progress(progress_of_run(self.folder(run)), replace(made, **changes))  # type: ignore[arg-type]

    @contextmanager
    def made_by_another(self, run: str) -> Iterator[None]:
        """A run that somebody makes on another machine."""
        other = replace(this_process(False), host="node7", boot="another", user="bert", job="17", cluster="elsewhere")
        self.folder(run).parent.mkdir(parents=True, exist_ok=True)
        lock_of(self.folder(run)).write_text(json.dumps(vars(other)))
        self.progress(run, host="node7", user="bert", attempt=1)
        yield
        lock_of(self.folder(run)).unlink()


def campaign(**changes: object) -> Campaign:
    """A campaign of eight trainings in the current folder, of which nothing is made."""
    Path("half.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))
    study = load_study("half.yaml")
    return Campaign(study, list(study.runs))


@contextmanager
def half_done() -> Iterator[Campaign]:
    """The same, of which two are done, one was given up, crashed, was killed, is made here, by another, and is left."""
    made = campaign()
    first, second, third, fourth, fifth, sixth, seventh, _ = made.runs
    made.done(first, seconds=90, hours_ago=3)
    made.done(second, seconds=110, hours_ago=1)
    made.given_up(third)
    made.crashed(fourth)
    made.killed(fifth)
    store = made.study.store
    targets = Targets(made.study)
    for path in (
        store.stimuli(next(iter(targets.sets))) / "manifest.json",
        next(iter(targets.all_activations.values())),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with ExitStack() as stack:
        stack.enter_context(made.made_here(sixth))
        stack.enter_context(made.made_by_another(seventh))
        yield made
