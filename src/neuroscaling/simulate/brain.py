"""A whole simulated brain, written as the files that real data come in."""

from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.files import atomic_path, write_json
from neuroscaling.hashing import file_sha256
from neuroscaling.provenance import provenance
from neuroscaling.simulate.behavior import write_choices
from neuroscaling.simulate.electrophysiology import write_object_recordings, write_texture_recordings
from neuroscaling.simulate.features import draw_bank
from neuroscaling.simulate.fmri import write_subjects
from neuroscaling.simulate.images import make_scenes
from neuroscaling.simulate.settings import BrainSettings, check_settings
from neuroscaling.simulate.truth import README, write_truth

STREAMS = ("brain", "scenes", "objects", "textures", "choices", "fmri")
"""Each part draws from a stream of its own, so that changing one setting leaves the other parts as they were."""


def simulate_brain(out: str | Path, settings: dict[str, Any]) -> Path:
    """Write a simulated brain to the folder `out`; the folder is whole or absent. Returns the manifest's path.

    settings: those of BrainSettings; what is left out has its default. The arrays depend on the settings alone.
    Raises StudyError for settings that can't be used.
    """
    out = Path(out)
    brain = check_settings(settings)
    with atomic_path(out) as folder:
        folder.mkdir(parents=True)
        _write_parts(folder, brain)
        (folder / "README.md").write_text(README, encoding="utf-8")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        manifest = {
            "format": "simulated-brain/1",
            "simulated": True,
            "settings": brain.to_dict(),
            "sha256": {path.relative_to(folder).as_posix(): file_sha256(path) for path in files},
            "provenance": provenance(("numpy", "scikit-learn", "xarray", "netCDF4", "pillow")),
        }
        write_json(folder / "manifest.json", manifest)
    return out / "manifest.json"


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
