"""Jobs on a cluster: CPU seconds of a job before its work begins, for studies of several sizes.

`snakemake` is the Snakemake of one job, up to its script: it reads what the driver wrote down (ours), or the study with
its store, as jobs did before (peer; a Snakefile that includes this one still does). `script` is the Python of a
script, with the libraries that it loads (ours), beside a Python that loads torch alone (peer); none of it depends on
the study. `start` is the driver until its first job is submitted (ours), with the writing down, and its dry run (peer).
The studies are those of perf/planning.py. `agreement` is 0 where both are the same job.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from common import quick, report, row
from planning import FITS, ROOT, run, study
from tests.support.clones import copy_clone

INCLUDING = 'include: "Snakefile"\n'
DRY_RUN = ("-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1", "--config", "study=study.yaml")
LARGEST_START = 1000
"""Networks of a study whose start is measured; perf/planning.py has dry runs of more."""
SCRIPTS = {
    "train": "import neuroscaling.training.job, neuroscaling.training.train",
    "activations": "import neuroscaling.activations.extraction, neuroscaling.models.build",
    "encoding": "import neuroscaling.encoding.encoding_job",
    "fit": "import neuroscaling.laws.study_fit",
}


def prepared(n: int, folder: Path) -> Path:
    """A working directory with a checkout and a study of n networks."""
    work = folder / f"study{n}"
    copy_clone(work)
    (work / "including.smk").write_text(INCLUDING)
    (work / ".venv").symlink_to(ROOT / ".venv")
    (work / "study.yaml").write_text(study(n))
    (work / "fits.yaml").write_text(FITS)
    return work


def first_command(work: Path) -> tuple[float, str]:
    """CPU seconds of a driver until it submits its first job, and the command of that job."""
    snakemake = [sys.executable, "-m", "snakemake", "--config", "study=study.yaml"]
    command = [*snakemake, "--executor", "first-command", "--jobs", "1", "--nolock"]
    path = os.pathsep.join([str(work / "src"), str(ROOT / "perf/executors")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with open(work / "driver.txt", "w") as output:
        driver = subprocess.Popen(
            command, cwd=work, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        status = driver.wait()
        # Its own local jobs run on.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
    said = work / "first_command.txt"
    assert not status and said.is_file(), (work / "driver.txt").read_text()[-3000:]
    seconds, _, line = said.read_text().partition("\n")
    return float(seconds), line


def snakemakes(work: Path, command: str) -> tuple[float, float]:
    """CPU seconds of the Snakemake of a job: of one that reads what the driver wrote, and one that reads the study."""
    assert " --target-jobs " in command and "_code" in command
    _, *options = shlex.split(command)
    reading = ["including.smk" if part.endswith("/Snakefile") else part for part in options]
    return run(work, *options, "--dry-run").seconds, run(work, *reading, "--dry-run").seconds


def main() -> None:
    """Measure studies of several sizes."""
    sizes = [20, 100] if quick(__doc__) else [20, 1000, 5000]
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            work = prepared(n, Path(folder))
            start, command = first_command(work)
            if n <= LARGEST_START:  # what is kept of code and images is there from now on
                start, command = first_command(work)
            ours, peer = snakemakes(work, command)
            rows = [row(f"{n} snakemake", ours, peer, 0.0)]
            if n <= LARGEST_START:
                rows.append(row(f"{n} start", start, run(work, *DRY_RUN).seconds, 0.0))
            report("jobs", rows, keep=True)
        code = next(Path(folder).glob("study*/.snakemake/neuroscaling/_code/*"))
        torch = run(code, "-c", "import torch").seconds
        for script, imports in SCRIPTS.items():
            run(code, "-c", imports)
            report("jobs", [row(f"script {script}", run(code, "-c", imports).seconds, torch, 0.0)], keep=True)


if __name__ == "__main__":
    main()
