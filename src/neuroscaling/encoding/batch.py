"""Several runs and subjects in one process: what the rule of encoding calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.score_files import making
from neuroscaling.encoding.accuracy_files import ACCURACY
from neuroscaling.encoding.algonauts.read import read_recording
from neuroscaling.encoding.job import score_subject
from neuroscaling.encoding.nsd.recording import open_recording, read_manifest
from neuroscaling.encoding.predictions import prediction_kind
from neuroscaling.encoding.recording import Recording
from neuroscaling.encoding.score_file import TARGETS, Origin, ScoreHeader
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.hashing import content_hash, file_sha256
from neuroscaling.simulate.record import brain_of, check_simulated

KINDS = (TARGETS, ACCURACY, *map(prediction_kind, ("lh", "rh", "both")))


@dataclass(frozen=True)
class EncodingOutput:
    """A score file to make.

    path: `scores/<source>-<subject>-<key>/<run>.json`; benchmark: `<source>-<subject>`; data: name of the recordings;
    activations: manifest of the run's activations to the subject's images; definition: what the key is a hash of.
    """

    path: Path
    run: str
    data: str
    benchmark: str
    activations: Path
    definition: dict[str, Any]


def score_all(
    outputs: Sequence[EncodingOutput], entry: dict[str, Any], located: dict[str, dict[str, str]], protocol: str
) -> None:
    """Make the outputs that are not there.

    entry: of `encoding:` as the study file has it; located: {"folder", "kind": "tree" or "recording", "subject"} of
    each benchmark. Raises DataError as `score_subject`.
    """
    settings = EncodingSettings.of(entry, protocol)
    absent = [out for out in outputs if not out.path.exists()]
    for benchmark in dict.fromkeys(out.benchmark for out in absent):
        place, recording, files = located[benchmark], None, {}
        for out in (out for out in absent if out.benchmark == benchmark):
            with making(out.path, f"score of {out.run} on {benchmark}", KINDS) as lease:
                if lease is None:
                    continue
                if recording is None:
                    recording, files = open_subject(place), recorded_files(place, out.data)
                simulated = out.data.startswith("simulated-") or recording.simulated
                engine = settings.ridge["engine"]
                header = ScoreHeader(out.run, out.data, simulated, entry["source"], ("ridge",), protocol, engine)
                origin = Origin(out.definition, files, lease)
                score_subject(out.activations, recording, out.path, header, settings, entry["regions"], origin)


def open_subject(place: dict[str, str]) -> Recording:
    """The recordings of a subject, from a tree in the Algonauts layout or from a folder prepared from NSD."""
    if place["kind"] == "recording":
        return open_recording(Path(place["folder"]))
    return read_recording(Path(place["folder"]), place["subject"])


def recorded_files(place: dict[str, str], data: str) -> dict[str, str]:
    """What tells a subject's recordings apart: the manifest's checksum, or of a tree one of all its arrays.

    Raises DataError for arrays of a simulated brain that are not what its record says.
    """
    name, folder = f"{data}/{place['subject']}", Path(place["folder"])
    if place["kind"] == "recording":
        return {name: read_manifest(folder)["checksum"]}
    own = folder / place["subject"]
    files = sorted(own.rglob("*.npy"))
    if brain := brain_of(folder):
        check_simulated(brain, [path.absolute() for path in files])
    arrays = {path.relative_to(own).as_posix(): file_sha256(path) for path in files}
    return {name: f"sha256:{content_hash(arrays, 64)}"}
