"""`neuroscaling audit RUN BENCHMARK`: one score by both engines, run in Brain-Score's environment."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from neuroscaling.brainscore.job_files import AuditJob, write_job
from neuroscaling.cli.output import FOR_PEOPLE, show
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.installation import interpreter, with_library
from neuroscaling.core.score_files import read_score
from neuroscaling.study.brainscore_jobs import BrainScoreJob, brainscore_jobs
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.wanted import Targets

COLUMNS = ("engine", "features", "score", "raw", "ceiling", "error", "reason", "seconds", "difference")


def print_audit(options: argparse.Namespace) -> None:
    """Print a row an engine: score, raw correlation, ceiling, error, seconds, largest difference from `kernel`.

    Raises StudyError for a run or benchmark that the study doesn't have, DataError where it isn't scored yet.
    """
    study = load_study(options.study)
    job = _job_of(study, options.benchmark)
    _require("unknown run", options.run, list(study.runs))
    content = json.loads(_run(_audit_job(study, job, options.run, options.benchmark)))
    rows = [{key: row[key] for key in COLUMNS} for row in content["rows"]]
    if options.format in FOR_PEOPLE:
        print(f"{options.benchmark}, {options.run}, layers: {listing(content['layers'])}")
        rows = [{key: _short(value) for key, value in row.items()} for row in rows]
    show(rows, options.format)


def _job_of(study: LoadedStudy, benchmark: str) -> BrainScoreJob:
    jobs = brainscore_jobs(study)
    _require("unknown benchmark", benchmark, [name for job in jobs for name in job.benchmarks])
    return next(job for job in jobs if benchmark in job.benchmarks)


def _require(what: str, value: str, allowed: list[str]) -> None:
    if value not in allowed:
        fix = "`neuroscaling runs STUDY` lists the runs"
        raise StudyError(
            Problem(
                what=f"{what} of this study",
                where="audit",
                value=value,
                allowed=listing(allowed),
                nearest=nearest(value, allowed),
                fix=fix,
            )
        )


def _audit_job(study: LoadedStudy, job: BrainScoreJob, run: str, benchmark: str) -> AuditJob:
    """The audit with the layers of the score that is there."""
    assert study.config.brainscore is not None
    targets, store = Targets(study), study.store
    score = store.find(store.score(str(targets.names.score(study.runs[run], job, benchmark)), run))
    if not score.is_file():
        raise DataError(
            Problem(what="not scored yet", where=str(score), fix="run the study first; the audit takes its layers")
        )
    row = read_score(score).rows[0]
    return AuditJob(
        activations=store.find(targets.activations(study.runs[run], job.stimuli)),
        data=job.folder,
        benchmark=benchmark,
        layers=row.get("layers") or ([row["layer"]] if row["layer"] else []),
        definitions={name: entry.model_dump(mode="json") for name, entry in study.config.brainscore.define.items()},
        ceilings=store.ceilings(),
        code=code_of("ceilings"),
    )


def _run(job: AuditJob) -> str:
    with tempfile.TemporaryDirectory(prefix="neuroscaling-audit-") as folder:
        path = write_job(Path(folder) / "job.json", job)
        command = [str(interpreter("brainscore")), "-m", "neuroscaling.brainscore.audit", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, env=with_library())
    if done.returncode:
        raise DataError(Problem(what=f"the audit failed\n{done.stderr.strip()[-4000:]}", where="audit"))
    return done.stdout


def _short(value: Any) -> Any:
    return f"{value:.10g}" if isinstance(value, float) else value
