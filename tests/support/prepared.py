"""Stimulus sets and runs as their stages would have left them, for tests of what reads them."""

from pathlib import Path
from typing import Any

from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.records import RUN_RECORD, write_record
from neuroscaling.stimuli.manifest import STIMULI_FORMAT
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import FeatureOptions, Layers, Reduction
from tests.support import run_records
from tests.support.run_records import run_content


def write_set(folder: Path, rows: list[dict[str, Any]], name: str = "test", degrees: float | None = 8) -> Path:
    """The manifest of the images that lie in `folder`/images; rows: `stimulus_id`, `filename` and `sha1` of each."""
    content = {"format": STIMULI_FORMAT, "set": name, "degrees": degrees, "simulated": True, "stimuli": rows}
    write_record(folder / "manifest.json", content)
    return folder / "manifest.json"


def write_run(folder: Path, weights: str = "weights-ep0.safetensors") -> str:
    """The run.json of the weights that lie in `folder`; returns their sha256."""
    sha256 = file_sha256(folder / weights)
    run_records.write_run(folder / RUN_RECORD, run_content(folder.name, weights=weights, weights_sha256=sha256))
    return sha256


def run_of(arch: str, kind: str = "untrained", name: str | None = None) -> Run:
    """A run of an architecture or baseline."""
    return Run(name or f"{arch}-00000000", kind, arch, "family")


def features_of(
    layers: list[str] | dict[str, Any] | None = None, reduction: dict[str, Any] | None = None, **options: Any
) -> FeatureSpec:
    """Features of these layers, of which the last is the readout; or of a section `layers:` of a study."""
    section = {"candidates": layers, "readout": layers[-1]} if isinstance(layers, list) else layers or {}
    return FeatureSpec(Layers(**section), Reduction(**(reduction or {})), FeatureOptions(**options))


def extraction_of(run: Run, folder: Path, output: Path, stimuli: Path | None = None, **features: Any) -> ExtractionJob:
    """The job of a run in `folder`. stimuli: by default the set that lies there; features: as of `features_of`."""
    return ExtractionJob(run, folder, stimuli or folder / "manifest.json", output, features_of(**features))
