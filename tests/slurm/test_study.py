"""A whole study on a real Slurm, from images to the report, with profiles/slurm.

One GPU node is out of service, so three networks and their activations share the two GPUs of the other. The untrained
network needs more memory than any job has at least.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuroscaling.core.tries import read_tries
from neuroscaling.planning.job_resources import LEAST_MB, Asked
from neuroscaling.report.timings import read_timings
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.run_table import Run
from neuroscaling.study.wanted import Targets
from tests.support.clones import copy_clone
from tests.support.processes import LIMIT, wait_for

from .lab import HERE, Job, drive, job_of, most_at_once, slurm, user_environment

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
STUDY = ("--config", "study=slurm.yaml")
KILLED = ("FAILED", "OUT_OF_MEMORY")
"""What Slurm says of a job that took more memory than it has, without control groups and with them."""
# What is broken while jobs wait and run, and mended when they are done: a start has a copy of it.
EDITED = (
    "Snakefile",
    "slurm.yaml",
    "recipe.yaml",
    "workflow/rules/start.smk",
    "workflow/rules/train.smk",
    "workflow/scripts/encode.py",
    "src/neuroscaling/core/installation.py",
    "src/neuroscaling/laws/study_fit.py",
    "src/neuroscaling/regression/__init__.py",
    "src/snakemake_executor_plugin_neuroscaling_slurm/__init__.py",
)


@dataclass
class Finished:
    """A study that was run to its end."""

    folder: Path
    jobs: list[Job]
    output: str

    def gpu_jobs(self) -> list[Job]:
        """Training of the networks that are trained, with their extraction."""
        return [job for job in self.jobs if job.rule == "train" and "untrained" not in job.wildcards]


@pytest.fixture(scope="module")
def finished(start, brainscore_python, tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("study") / "work"
    shutil.copytree(HERE / "study", folder)
    copy_clone(folder)
    slurm("scontrol", "update", "nodename=gpu2", "state=drain", "reason=out of service")
    try:
        driver = start(folder, *STUDY, snakefile=folder / "Snakefile")
        driver.wait_for(1, "simulate", "COMPLETED")
        graph = folder / "results/slurm/report/rulegraph.dot"
        wait_for(lambda: graph.is_file() and graph.stat().st_size > 0, driver.describe)
        before = {folder / name: (folder / name).read_bytes() for name in EDITED}
        for file in before:
            file.write_text("edited while a start runs: no job may read this")
        output = driver.finish()
        for file, content in before.items():
            file.write_bytes(content)
        return Finished(folder, driver.jobs(), output)
    finally:
        slurm("scontrol", "update", "nodename=gpu2", "state=resume")


def test_the_report_is_there(finished):
    assert (finished.folder / "results/slurm/report/index.html").stat().st_size > 10_000
    assert (finished.folder / "results/slurm/fits/samples.json").exists()


def test_each_job_is_submitted_once_and_cheap_ones_not_at_all(finished):
    assert {job.state for job in finished.jobs} == {"COMPLETED"}
    counts = Counter(job.rule for job in finished.jobs)
    assert counts == Counter(simulate=1, stimuli=1, train=4, brainscore=4, encoding=4, fits=1)


def test_gpu_jobs_go_to_the_gpu_node_in_service_and_the_others_to_cpus(finished):
    gpu = finished.gpu_jobs()
    assert {(job.partition, job.node, job.gpus) for job in gpu} == {("gpu", "gpu1", 1)}
    assert len(gpu) == 3
    others = {(job.partition, job.node, job.gpus) for job in finished.jobs if job not in gpu}
    assert others == {("cpu", "cpu1", 0)}


def test_as_many_gpu_jobs_at_once_as_gpus_and_no_more(finished):
    assert most_at_once(finished.gpu_jobs()) == 2


def test_an_edited_checkout_is_for_the_next_start(finished):
    copies = list((finished.folder / ".snakemake/neuroscaling/_code").iterdir())
    assert len(copies) == 1, "all jobs ran the code of the start"
    begun = {job.rule for job in finished.jobs if job.start and job.start > min(one.end for one in finished.jobs)}
    assert {"train", "brainscore", "encoding", "fits"} <= begun, "they began when the files were broken"


def test_an_extraction_has_its_own_log_and_seconds_though_a_training_does_it(finished):
    runs = sorted(path.name for path in (finished.folder / "store/activations").iterdir())
    assert len(runs) == 4
    for run in runs:
        assert "stimuli written to" in (finished.folder / f"logs/activations/{run}/all.log").read_text()
        (own,) = read_tries(finished.folder / f"logs/activations/{run}/all.tries.jsonl")
        assert (own.outcome, own.runs) == ("done", (run,)) and own.slurm_job_id
    files = {"activations": ["all"]}
    (timing,) = read_timings([finished.folder / "benchmarks"], runs, files)
    assert (timing.stage, timing.jobs) == ("activations", 4) and timing.total_seconds > 0


@dataclass
class Large:
    """The untrained network of a finished study: what the study makes, its run, its stimuli and activations."""

    targets: Targets
    run: Run
    stimuli: str
    activations: Path


@pytest.fixture
def large(finished, monkeypatch) -> Large:
    monkeypatch.chdir(finished.folder)  # its module lies there
    targets = Targets(load_study(finished.folder / "slurm.yaml"))
    (run,) = [run for run in targets.study.runs.values() if run.kind == "untrained"]
    ((stimuli, path),) = [(key[1], path) for key, path in targets.all_activations.items() if key[0] == run.run]
    return Large(targets, run, stimuli, path)


def test_a_large_network_is_made_and_extracted_within_what_the_plan_asks(finished, large):
    asks = Asked(large.targets).making([large.run], pairs=[(large.run.run, large.stimuli)])
    (job,) = [job for job in finished.jobs if job.rule == "train" and "untrained" in job.wildcards]
    assert job.memory == f"{asks.mem_mb}M"
    records = [large.targets.store.run(large.run.run) / "run.json", large.activations]
    peaks = [json.loads(record.read_text())["provenance"]["peak_mb"] for record in records]
    assert min(peaks) > LEAST_MB, "within the least that any job asks for it can't be made"


def test_with_the_least_that_a_job_asks_for_slurm_kills_the_extraction_of_a_large_network(finished, large):
    """So the limit holds on this cluster, and the test before can fail."""
    name = large.targets.store.name_of(large.activations).removesuffix(large.activations.suffix)
    job = f"{sys.executable} -m neuroscaling.cli.main job slurm.yaml {name} --folder again"
    limits = ["--parsable", "--wait", f"--mem={LEAST_MB}", "--output=killed.txt", "--open-mode=append"]
    submitted = subprocess.run(
        ["sbatch", *limits, "--wrap", job],
        cwd=finished.folder,
        env=user_environment(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    number = submitted.stdout.strip()
    wait_for(lambda: job_of(slurm("scontrol", "show", "job", "-o", number)).state != "COMPLETING")
    assert submitted.returncode and job_of(slurm("scontrol", "show", "job", "-o", number)).state in KILLED
    assert "xceeded job memory limit" in (finished.folder / "killed.txt").read_text()
    assert not (finished.folder / "again" / f"{name}.json").exists()


def test_nothing_is_left_to_do_afterwards(finished):
    """Names state settings and code: what the disturbed start made is what an undisturbed one would have made."""
    assert (
        "Nothing to be done"
        in drive(finished.folder, "--dry-run", *STUDY, snakefile=finished.folder / "Snakefile").finish()
    )
