"""A copy of the workflow in a folder of its own, with a small study that is run to its end once."""

import contextlib
import fcntl
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.main import main
from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.study.loaded_study import load_study
from tests.support.clones import ROOT, copy_clone, copy_folder
from tests.support.forked_snakemake import forks
from tests.support.processes import LIMIT

# A start works with a copy of these. The command that starts it reads others when it sums up.
EDITED = (
    "Snakefile",
    "small.yaml",
    "fits/small.yaml",
    "recipes/brief.yaml",
    "workflow/rules/train.smk",
    "workflow/scripts/train.py",
    "src/neuroscaling/laws/study_fit.py",
    "src/neuroscaling/training/job.py",
)

TABLE = "results/small/scores.parquet"  # takes everything of the store, and neither fits nor figures
SMALL = {
    "study": "small",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {
            "archs": ["resnet_w8"],
            "datasets": ["digits"],
            "recipe": "recipes/brief.yaml",
            "samples_per_class": [1, 3],
            "seeds": [0],
        },
        {"untrained": ["resnet_w8"], "seeds": [0]},
    ],
    "reduction": {"kind": "grid", "size": 2},
    "simulated": {
        "brain": {
            "seed": 1,
            "stimuli": 100,
            "neuroids_per_region": 4,
            "repetitions": 2,
            "algonauts_subjects": 1,
            "algonauts_train": 40,
            "algonauts_test": 12,
            "vertices": 40,
        }
    },
    "brainscore": {
        "data": {"simulated": "brain"},
        "benchmarks": ["MajajHong2015public.IT-pls"],
        "layers": {"choose": "depth"},
    },
    "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}, "regions": ["V1", "ventral"]}],
    "fits": ["fits/small.yaml"],
}


# For the same files in fewer processes, each of which takes seconds to import what it works with.
PACKED = {"runs_per_job": 3, "training": {"runs_per_job": 3}}


@dataclass
class Workdir:
    """A working directory with a copy of the workflow."""

    path: Path
    python: Path = Path(sys.executable)

    def snakemake(
        self, *arguments: str, check: bool = True, study: str = "small.yaml", config: Sequence[str] = (), **options
    ):
        """Run snakemake to its end; returns the finished process with all its output in `stdout`.

        It is a fork of a process that has imported Snakemake. config: what else `--config` says.
        """
        command = [*self.command(*arguments, study=study), *config]
        if self.python == Path(sys.executable) and not options:
            return checked(forks().run(command[3:], self.path, user_environment(), LIMIT), check)
        return run(command, self.path, check, **options)

    def neuroscaling(self, *arguments: str, check: bool = True):
        """Run a command of the copy's own library to its end; returns the finished process."""
        command = ["env", f"PYTHONPATH={self.path / 'src'}", str(self.python), "-m", "neuroscaling.cli.main"]
        return run([*command, *arguments], self.path, check)

    def command(self, *arguments: str, study: str = "small.yaml") -> list[str]:
        """The command line of a run."""
        base = [str(self.python), "-m", "snakemake", "--cores", "2", *arguments]
        return base if study is None else [*base, "--config", f"study={study}"]

    def write_study(self, study: dict, name: str = "small.yaml") -> None:
        """Write a study file."""
        (self.path / name).write_text(yaml.safe_dump(study, sort_keys=False))

    def planned(self, study: str = "small.yaml") -> Counter:
        """How many jobs of each rule a run would start, from Snakemake's own dry run."""
        return jobs(self.snakemake("--dry-run", study=study).stdout)

    def planned_jobs(self, study: str = "small.yaml") -> str:
        """The messages of the jobs of a dry run, a line each: they name run, set and fit."""
        return "\n".join(re.findall(r"^Job \d+: (.*)$", self.snakemake("--dry-run", study=study).stdout, re.M))


def jobs(dry_run: str) -> Counter:
    """Number of jobs of each rule in the output of a dry run."""
    counts = re.findall(r"^([a-z][a-z0-9_]*) +(\d+)$", dry_run, re.M)
    return Counter({rule: int(n) for rule, n in counts if rule != "total"})


def user_environment() -> dict[str, str]:
    """The environment that a user has: no variables of this test run."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("NEUROSCALING_STORE", "PYTHONPATH"))
    }
    environment.setdefault("NEUROSCALING_BRAINSCORE_PYTHON", str(ROOT / ".venv/brainscore/bin/python"))
    return environment | {"OMP_NUM_THREADS": "1"}


def checked(process: subprocess.CompletedProcess, check: bool) -> subprocess.CompletedProcess:
    """The finished process; check: it must have succeeded."""
    assert not check or process.returncode == 0, process.stdout[-6000:]
    return process


def run(command: list[str], folder: Path, check: bool, timeout: float = LIMIT, **options):
    """Run a command with the environment that a user has."""
    process = subprocess.run(
        command,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=user_environment(),
        timeout=timeout,
        **options,
    )
    return checked(process, check)


def make_workdir(path: Path) -> Workdir:
    """Copy the workflow to `path` and put the small study there."""
    copy_clone(path)
    (path / "recipes").mkdir()
    recipe = yaml.safe_load((ROOT / "config/recipes/digits.yaml").read_text())
    (path / "recipes/brief.yaml").write_text(
        yaml.safe_dump(recipe | {"name": "brief", "epochs": 2, "warmup_epochs": 0})
    )
    (path / "fits").mkdir()
    (path / "fits/small.yaml").write_text((Path(__file__).parent / "small_fits.yaml").read_text())
    workdir = Workdir(path)
    workdir.write_study(SMALL)
    return workdir


def refused_when_read(workdir: Workdir, study: dict, *phrases: str, folder: Path | None = None) -> None:
    """Assert the message of a faulty study that is read here as the Snakefile reads it: a process more takes seconds.

    folder: that the study file lies in, where the working directory is not the test's own.
    """
    faulty = (folder or workdir.path) / "faulty.yaml"
    faulty.write_text(yaml.safe_dump(study, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir.path)
        with pytest.raises(NeuroscalingError) as caught:
            load_study(faulty)
    for phrase in phrases:
        assert phrase in str(caught.value)


def told_here(folder: Path, *arguments: object) -> str:
    """What a command of the library prints in `folder`, in this process: another would import for a second."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.chdir(folder)
        assert main([str(argument) for argument in arguments]) == 0
    return said.getvalue()


def make_once(folder: Path, make: Callable[[Path], object]) -> None:
    """Make `folder` in one of the processes of a test session; the others wait for it. What failed is made again."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{folder.name}.done")
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()


def run_small(path: Path) -> None:
    """Run the small study, and keep what the command said. Study and code are broken until the report is written.

    A command of the user's notes what it is told. Runs share jobs; the study that is left asks for a job for each.
    """
    notify = f"{sys.executable} -c \"import sys; open('told.txt', 'a').write(sys.stdin.read())\""
    command = ("run", "small.yaml", "--cores", "2", "--notify", notify)
    workdir = make_workdir(path)
    workdir.write_study(SMALL | PACKED)
    edited = {path / name: (path / name).read_bytes() for name in EDITED}

    def wait_for(file: Path) -> bool:
        while not (file.is_file() and file.stat().st_size):
            if done.wait(0.1):
                return False
        return True

    def edit() -> None:
        # The graph of the rules is the first of all jobs, and reads the study. The command reads it to sum up.
        if wait_for(path / "results/small/report/rulegraph.dot"):
            for file in edited:
                file.write_text("edited while a start runs: no job may read this")
            wait_for(path / "results/small/report/index.html")
            for file, content in edited.items():
                file.write_bytes(content)

    done = threading.Event()
    editor = threading.Thread(target=edit)
    editor.start()
    try:
        (path / "run.log").write_text(workdir.neuroscaling(*command).stdout)
    finally:
        done.set()
        editor.join()
    workdir.write_study(SMALL)  # after the editor, which puts the first one back


@pytest.fixture(scope="session")
def finished(tmp_path_factory, brainscore_python) -> Workdir:
    """The small study, run to its report. Tests must leave it as it is: copy it (`workdir`) to change it.

    One process of `make test` makes it for all: the folder of a session holds those of its processes.
    """
    session = tmp_path_factory.getbasetemp()
    session = session.parent if "PYTEST_XDIST_WORKER" in os.environ else session
    folder = session / "workflow" / "finished"
    make_once(folder, run_small)
    return Workdir(folder)


@pytest.fixture
def workdir(finished, tmp_path) -> Workdir:
    """A copy of the finished small study that a test may change."""
    path = tmp_path / "work"
    copy_folder(finished.path, path)
    return Workdir(path)
