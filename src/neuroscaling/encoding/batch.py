"""Several runs and subjects in one process: what the rule of encoding calls."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroscaling.encoding.algonauts.read import read_recording
from neuroscaling.encoding.job import score_subject
from neuroscaling.encoding.nsd.recording import open_recording
from neuroscaling.encoding.predictions import prediction_file
from neuroscaling.encoding.recording import Recording
from neuroscaling.encoding.score_file import ScoreHeader
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.errors import DataError
from neuroscaling.failures import failure_of, write_failure
from neuroscaling.files import read_object
from neuroscaling.hashing import file_sha256

log = logging.getLogger(__name__)


def score_all(
    activations: Sequence[str | Path],
    outputs: Sequence[str | Path],
    job: dict[str, Any],
    located: dict[str, dict[str, str]],
    protocol: str,
    code: str,
) -> None:
    """Score each run on each subject of `outputs`, <store>/scores/<run>/<data>/<source>-<subject>.json.

    activations: manifests <store>/activations/<run>/<set>.json. job: {"entry": the study's entry, "sets": stimulus set
    of each <source>-<subject>}. located: {"folder", "kind": "tree" or "recording", "subject"} of each <data>/<source>-
    <subject>. Files that were made from the same inputs, settings and code are kept; those of
    failed runs say so. Raises DataError as
    `score_subject`.
    """
    activations, outputs = [Path(file) for file in activations], [Path(file) for file in outputs]
    manifests = {(path.parent.name, path.stem): path for path in activations}
    settings = EncodingSettings.of(job["entry"], protocol)
    for benchmark in dict.fromkeys(path.stem for path in outputs):
        recording = None
        for output in (path for path in outputs if path.stem == benchmark):
            run, data = output.parent.parent.name, output.parent.name
            manifest, place = manifests[run, job["sets"][benchmark]], located[f"{data}/{benchmark}"]
            if reason := failure_of(manifest):
                write_failure(output, run, reason)
                continue
            facts = {"activations": file_sha256(manifest), "job": job["entry"], "protocol": protocol, "code": code}
            if is_scored(output, facts, settings.final):
                log.info("%s, %s: kept, it was scored before from the same inputs", run, benchmark)
                continue
            recording = recording or open_subject(place)
            simulated = data.startswith("simulated-") or recording.simulated
            source = job["entry"]["source"]
            header = ScoreHeader(run, data, simulated, source, ("ridge",), protocol, settings.ridge["engine"])
            score_subject(manifest, recording, output, header, settings, job["entry"]["regions"], facts)


def open_subject(place: dict[str, str]) -> Recording:
    """The recordings of a subject, from a tree in the Algonauts layout or from a folder prepared from NSD."""
    if place["kind"] == "recording":
        return open_recording(Path(place["folder"]))
    return read_recording(Path(place["folder"]), place["subject"])


def is_scored(output: Path, facts: dict[str, Any], predictions: bool) -> bool:
    """Whether all files of a score stand there, made from `facts`."""
    try:
        details = read_object(output, "details")["details"]
    except DataError:
        return False
    beside = [output.with_name(f"{output.stem}.{kind}.parquet") for kind in ("targets", "accuracy")]
    if predictions:
        beside += [prediction_file(output, hemisphere) for hemisphere in details.get("masked_vertices", {})]
    return details.get("facts") == facts and all(path.is_file() for path in beside)
