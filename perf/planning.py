"""Planning: CPU seconds to read a study's rules and to dry-run it, and the memory, with nothing made yet.

Networks of four architectures on five numbers of images, five Brain-Score benchmarks with layers chosen, fMRI of two
subjects and 27 fits. The peer of a dry run is a plain Snakefile with as many jobs, written as toy rules whose names
need no hashing and no looking at a store. Of `parse` the peer is the dry run itself: how much of it parsing is.
`growth` compares the seconds per network of the largest study (ours) with those of the smallest (peer): 1 is linear.
`agreement` is the relative difference of the numbers of jobs.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import quick, report, row
from tests.support.clones import ROOT, copy_clone

ARCHS, SAMPLES = ["resnet_w8", "resnet_w16", "resnet18", "resnet34"], [1, 3, 10, 30, "all"]
BENCHMARKS = [
    "FreemanZiemba2013public.V1-pls",
    "FreemanZiemba2013public.V2-pls",
    "MajajHong2015public.V4-pls",
    "MajajHong2015public.IT-pls",
    "Rajalingham2018public-i2n",
]
PARSE = """
from neuroscaling.study.wanted import Absent
from neuroscaling.study.wanted import Inventory
from neuroscaling.study.session import begin_session
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.wanted import Targets
targets = Targets(load_study("study.yaml"))
begin_session(Absent(targets, Inventory(targets.store)))
"""
TOY = """
RUNS, FITS = range({runs}), range({fits})

rule all:
    input: "report"
rule subset:
    output: "subset"
    shell: "touch {{output}}"
rule stimuli:
    output: "stimuli"
    shell: "touch {{output}}"
rule train:
    input: "subset"
    output: "train/{{run}}"
    shell: "touch {{output}}"
rule activations:
    input: "train/{{run}}", "stimuli"
    output: "activations/{{run}}"
    shell: "touch {{output}}"
rule score:
    input: "activations/{{run}}"
    output: "score/{{run}}"
    shell: "touch {{output}}"
rule encoding:
    input: "activations/{{run}}"
    output: "encoding/{{run}}"
    shell: "touch {{output}}"
rule table:
    input: expand("score/{{run}}", run=RUNS), expand("encoding/{{run}}", run=RUNS)
    output: "table"
    shell: "touch {{output}}"
rule fits:
    input: "table"
    output: "fitted"
    shell: "touch {{output}}"
rule fit:
    input: "table", "fitted"
    output: "fit/{{fit}}"
    shell: "touch {{output}}"
rule report:
    input: expand("fit/{{fit}}", fit=FITS)
    output: "report"
    shell: "touch {{output}}"
"""


@dataclass(frozen=True)
class Run:
    """What a command took: CPU seconds of it and its children, megabytes of the largest process, jobs it tells of."""

    seconds: float
    megabytes: float
    jobs: int


def study(n: int) -> str:
    """A study file of n networks."""
    seeds = ", ".join(map(str, range(n // (len(ARCHS) * len(SAMPLES)))))
    return f"""
study: large
datasets: {{digits: {{format: digits}}}}
runs: [{{archs: {ARCHS}, datasets: [digits], recipe: sgd100, samples_per_class: {SAMPLES}, seeds: [{seeds}]}}]
simulated: {{brain: {{stimuli: 100, algonauts_subjects: 2, algonauts_train: 40, algonauts_test: 12}}}}
brainscore: {{data: {{simulated: brain}}, benchmarks: {BENCHMARKS}, layers: {{choose: nested}}}}
encoding: [{{source: algonauts2023, data: {{simulated: brain}}}}]
fits: [fits.yaml]
"""


FITS = """
fits:
  - name: samples
    form: power_law
    x: n_samples
    by: {region: [V1, V2, V4, IT, behavior, V3, hV4, ventral, lateral], arch_family: [ResNet, ViT, ConvNeXt]}
"""


def run(folder: Path, *command: str) -> Run:
    """Run a command in `folder`; a process of its own measures it, since of children only the largest is known."""
    measure = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)\n"
        "assert not done.returncode, done.stdout[-3000:]\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)\n"
        "print(done.stdout)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    python = [sys.executable, "-c", measure, sys.executable]
    done = subprocess.run([*python, *command], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    numbers, _, text = done.stdout.partition("\n")
    seconds, megabytes = map(float, numbers.split())
    found = re.search(r"^total +(\d+)$", text, re.M)
    return Run(seconds, megabytes, int(found[1]) if found else 0)


def measured(n: int, folder: Path) -> tuple[Run, Run, Run]:
    """Parsing and a dry run of a study of n networks, and a dry run of as many toy jobs."""
    work, toy = folder / f"study{n}", folder / f"toy{n}"
    copy_clone(work)
    (work / ".venv").symlink_to(ROOT / ".venv")
    (work / "study.yaml").write_text(study(n))
    (work / "fits.yaml").write_text(FITS)
    toy.mkdir()
    (toy / "Snakefile").write_text(TOY.format(runs=n, fits=27))
    run(work, "-c", PARSE)  # what is kept of code and images is there from now on
    parsed = run(work, "-c", PARSE)
    dry = ("-m", "snakemake", "--dry-run", "--quiet", "rules", "--scheduler", "greedy", "--cores", "1")
    return parsed, run(work, *dry, "--config", "study=study.yaml"), run(toy, *dry)


def main() -> None:
    """Measure studies of several sizes."""
    sizes = [100, 200] if quick(__doc__) else [200, 1000, 5000]
    rows, dry_runs, parses = [], {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            parsed, dry, toy = measured(n, Path(folder))
            dry_runs[n], parses[n] = dry, parsed
            agreement = abs(dry.jobs - toy.jobs) / toy.jobs
            rows.append(row(f"{n} parse", parsed.seconds, dry.seconds, 0.0))
            rows.append(row(f"{n} dry run", dry.seconds, toy.seconds, agreement))
            rows.append(row(f"{n} memory", dry.megabytes, toy.megabytes, agreement, "MB"))
    first, last = sizes[0], sizes[-1]
    for what, found in (("parse", parses), ("dry run", dry_runs)):
        ours, peer = found[last].seconds / last, found[first].seconds / first
        rows.append(row(f"growth of {what}", 1000 * ours, 1000 * peer, 0.0, "CPU ms"))
    report("planning", rows)


if __name__ == "__main__":
    main()
