"""A whole simulated brain, written as the files that real data come in."""

import time
from pathlib import Path

import numpy as np

from neuroscaling.core.files import atomic_path
from neuroscaling.core.leases import Lease, held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import DEFINITION, write_record
from neuroscaling.simulate.features import draw_bank
from neuroscaling.simulate.fmri import write_subjects
from neuroscaling.simulate.images import make_scenes
from neuroscaling.simulate.monkey_recordings import write_choices, write_object_recordings, write_texture_recordings
from neuroscaling.simulate.record import FORMAT, MANIFEST, SIMULATED_README, files_of, write_truth
from neuroscaling.study.recording_jobs import BrainJob
from neuroscaling.study.sections.simulated_brains import BrainSettings, check_brain

PACKAGES = ("numpy", "scikit-learn", "xarray", "netCDF4", "pillow")
STREAMS = ("brain", "scenes", "objects", "textures", "choices", "fmri")
"""Each part draws from a stream of its own, so that changing one setting leaves the other parts as they were."""


def simulate_brain(job: BrainJob) -> Path:
    """Write a simulated brain to the job's folder, whole or not at all, unless it is there; returns its record's path.

    The arrays depend on the job's settings alone. Raises StudyError for settings that can't be used.
    """
    out = job.folder
    check_brain(job.settings)
    if (out / MANIFEST).exists():
        return out / MANIFEST
    with held(out, f"the simulated brain {out}") as lease:
        if not (out / MANIFEST).exists():  # another process may have made it meanwhile
            _make(job, lease)
    return out / MANIFEST


def _make(job: BrainJob, lease: Lease) -> None:
    start = time.perf_counter()
    with atomic_path(job.folder) as folder:
        folder.mkdir(parents=True)
        _write_parts(folder, job.settings)
        (folder / "README.md").write_text(SIMULATED_README, encoding="utf-8")
        record = {
            "format": FORMAT,
            DEFINITION: job.definition,
            "simulated": True,
            "settings": job.settings.to_dict(),
            "files": files_of(folder),
            "provenance": provenance(PACKAGES, time.perf_counter() - start),
        }
        write_record(folder / MANIFEST, record)
        lease.check()


def _write_parts(folder: Path, brain: BrainSettings) -> None:
    rng = {stream: np.random.default_rng([brain.seed, i]) for i, stream in enumerate(STREAMS)}
    bank = draw_bank(rng["brain"])
    scenes = make_scenes("validation", rng["scenes"])
    recordings = folder / "brainscore"
    recordings.mkdir()
    truths = [
        *write_object_recordings(recordings, brain, bank, scenes, rng["objects"]),
        *write_texture_recordings(recordings, brain, bank, scenes, rng["textures"]),
        *write_choices(recordings, brain, bank, scenes, rng["choices"]),
        *write_subjects(folder / "algonauts2023", brain, bank, scenes, rng["fmri"]),
    ]
    write_truth(folder / "truth", truths)
