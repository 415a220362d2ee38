"""A module with functions that return recordings, as a lab would write it. SIMULATED."""

from pathlib import Path
from typing import Any

from tests.support.own_arrays import write_images

N_TRAINING, N_TEST, N_UNITS = 40, 12, 6
ENTRY: dict[str, Any] = {
    "source": "ourlab.recordings:read",
    "name": "ours",
    "subjects": ["anna", "bert"],
    "options": {"folder": "arrays"},
    "files": ["arrays"],
    "images": "images",
}
NAMES = [f"image{number}.png" for number in range(N_TRAINING + N_TEST)]
MODULE = f"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroscaling.recordings.recording import ArrayResponses, Recording, Responses, Split

N_TRAINING, N_TEST, N_UNITS = {N_TRAINING}, {N_TEST}, {N_UNITS}
NAMES = [f"image{{number}}.png" for number in range(N_TRAINING + N_TEST)]


def read(options, subject):
    \"\"\"Responses (images, units) of a file, four repetitions an image.\"\"\"
    file = Path(options["folder"]) / f"{{subject}}.npy"
    values = np.load(file).astype(np.float32)
    training = Split(NAMES[:N_TRAINING], np.full(N_TRAINING, 4), ArrayResponses(values[:N_TRAINING]))
    test = Split(NAMES[N_TRAINING:], np.full(N_TEST, 4), ArrayResponses(values[N_TRAINING:]), np.full(N_UNITS, 0.8))
    early = np.arange(N_UNITS) < N_UNITS // 2
    return Recording(
        name=subject,
        training=training,
        tests={{"test": test}},
        hemisphere=np.full(N_UNITS, "both"),
        vertex=np.arange(N_UNITS) * 2,
        regions={{"V1": early, "IT": ~early}},
        ncsnr=np.full(N_UNITS, 1.0),
        fsaverage=None,
        masked={{"both": [1]}},
        simulated=True,
    )


def fails(options, subject):
    raise KeyError("no such session")


def words(options, subject):
    return subject


def hungry(options):
    return options


NUMBER = 3
"""


def write_module(root: Path, text: str = MODULE) -> None:
    """The module that ENTRY names, and the images, in `root`."""
    folder = root / "ourlab"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text("")
    (folder / "recordings.py").write_text(text)
    if not (root / "images").exists():
        write_images(root / "images", NAMES)
