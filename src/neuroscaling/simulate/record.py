"""The record of a simulated brain lists its files; beside them stands the truth that made them.

Light: both environments import it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.records import DEFINITION, read_record, require_name

FORMAT, MANIFEST = "simulated-brain/2", "manifest.json"
AGAIN = "delete the folder of this simulated brain and run again"


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return bytes and sha256 of each file below `folder`, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        for file in files
    }


def brain_of(path: str | Path) -> Path | None:
    """Return the folder of the simulated brain that `path` lies in; None where it is part of none."""
    path = Path(path).absolute()
    return next((folder for folder in (path, *path.parents) if _is_brain(folder / MANIFEST)), None)


def check_simulated(folder: str | Path, files: Iterable[str | Path] | None = None) -> dict[str, Any]:
    """Return the record of the simulated brain in `folder`, whose `files` (paths below it; None: all) are as it says.

    A job names the files that it reads: their bytes are hashed. Raises DataError, naming both checksums, for a file
    that was altered, exchanged or is missing, and for a record that was altered or belongs to another brain.
    """
    folder = Path(folder).absolute()
    record = read_record(folder / MANIFEST, FORMAT, AGAIN)
    if record[DEFINITION] is not None:
        require_name(record, folder / MANIFEST, folder.name, AGAIN)
    wanted = record["files"] if files is None else [_inside(Path(file), folder) for file in files]
    problems = [problem for name in wanted for problem in _faults(folder / name, record["files"].get(name))]
    if problems:
        raise DataError(problems)
    return record


def _is_brain(manifest: Path) -> bool:
    try:
        content = manifest.read_bytes()
    except OSError:
        return False
    # By either of two words: where one byte was flipped the other one stands, and the check refuses the record.
    return any(word in content for word in (b'"simulated-brain/', b'"truth/README.md"'))


def _inside(file: Path, folder: Path) -> str:
    file = file if file.is_absolute() else folder / file
    return file.relative_to(folder).as_posix()


def _faults(path: Path, stated: dict[str, Any] | None) -> list[Problem]:
    if stated is None:
        return [Problem(what="a file that the simulated brain does not have", where=str(path), fix=AGAIN)]
    if not path.is_file():
        return [Problem(what="a file of the simulated brain is missing", where=str(path), fix=AGAIN)]
    size = path.stat().st_size
    if size != stated["bytes"]:
        what = "a file of the simulated brain was altered, by its size"
        return [
            Problem(what=what, where=str(path), value=f"{size} bytes", allowed=f"{stated['bytes']} bytes", fix=AGAIN)
        ]
    found = file_sha256(path)
    if found != stated["sha256"]:
        what = "a file of the simulated brain was altered, by its sha256"
        return [Problem(what=what, where=str(path), value=found, allowed=stated["sha256"], fix=AGAIN)]
    return []


SIMULATED_README = """# SIMULATED data

Everything in this folder was computed from scikit-learn's handwritten digits by a known rule; nothing was recorded from
an animal or a person. It serves to run the pipeline and to test that it finds what was put in.

- `brainscore/`: recordings and choices in the file formats of Brain-Score.
- `algonauts2023/`: fMRI in the layout of the Algonauts 2023 Challenge.
- `truth/`: what generated them: one file an experiment and region, with `stimulus_ids`, the `features` of each image,
  the noise-free responses `clean`, the `weights` (feature, target) and each target's `reliability` (the share of the
  variance of the mean over repetitions that is not noise).

The rule: V1 is Gabor energy; V2 the products of neighbouring energies; V4 mixtures of those with evidence for each
category; IT is evidence for each category, as support vector machines see it that were fitted on moved and dimmed
digits of the training split; choices follow the same evidence. Images are from the validation split: no network here
was trained on them.
"""


@dataclass(frozen=True)
class Truth:
    """What generated one region's data in one experiment.

    features (images, features); clean (images, targets): responses without noise; weights (features, targets);
    reliability (targets,).
    """

    name: str
    stimulus_ids: list[str]
    features: np.ndarray
    clean: np.ndarray
    weights: np.ndarray
    reliability: np.ndarray


def write_truth(folder: Path, truths: list[Truth]) -> None:
    """One npz file for each of `truths`, and a README that says SIMULATED."""
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(SIMULATED_README, encoding="utf-8")
    for truth in truths:
        np.savez(
            folder / f"{truth.name}.npz",
            stimulus_ids=np.array(truth.stimulus_ids),
            features=truth.features.astype(np.float32),
            clean=truth.clean.astype(np.float32),
            weights=truth.weights.astype(np.float32),
            reliability=truth.reliability.astype(np.float32),
        )
