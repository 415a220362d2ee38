"""A whole study on a real Slurm, from images to the report, with profiles/slurm.

One GPU node is out of service, so three networks and their activations share the two GPUs of the other.
"""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from neuroscaling.core.tries import read_tries
from neuroscaling.report.timings import read_timings

from .lab import HERE, Job, copy_workflow, drive, most_at_once, slurm, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
STUDY = ("--config", "study=slurm.yaml")
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
    copy_workflow(folder)
    slurm("scontrol", "update", "nodename=gpu2", "state=drain", "reason=out of service")
    try:
        driver = start(folder, *STUDY, snakefile=folder / "Snakefile")
        driver.wait_for(1, "simulate", "COMPLETED", timeout=300)
        graph = folder / "results/slurm/report/rulegraph.dot"
        wait_until(lambda: graph.is_file() and graph.stat().st_size > 0, 120, driver.describe)
        before = {folder / name: (folder / name).read_bytes() for name in EDITED}
        for file in before:
            file.write_text("edited while a start runs: no job may read this")
        output = driver.finish(timeout=500)
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


def test_nothing_is_left_to_do_afterwards(finished):
    """Names state settings and code: what the disturbed start made is what an undisturbed one would have made."""
    assert (
        "Nothing to be done"
        in drive(finished.folder, "--dry-run", *STUDY, snakefile=finished.folder / "Snakefile").finish()
    )
