"""Versions of the stages whose results are dear: a number in their names, and not a fingerprint of their code.

A refactoring must not cost a lab its networks and activations. So the number is raised by hand, when equal settings
give other results. That nobody forgets it is seen to by a test: it fails when the code behind a stage changed, until
`python tools/confirm.py STAGE` has computed a small recorded case anew (CONTRIBUTING.md).
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neuroscaling.code import module_parts

PATH = Path(__file__).with_suffix(".json")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stage:
    """A stage whose version is a number.

    what: its results; modules: where its code begins; what they import counts too.
    """

    what: str
    modules: tuple[str, ...]


STAGES = {
    "subsets": Stage("images of a subset", ("datasets/subsets.py",)),
    "simulated": Stage("simulated brains", ("simulate/brain.py",)),
    "stimuli": Stage("images of a stimulus set", ("stimuli/prepare.py",)),
    "networks": Stage(
        "networks as they are built, and with weights from a file",
        ("models/build.py", "models/checkpoints.py", "models/pretrained.py"),
    ),
    "training": Stage("trained weights", ("training/train.py",)),
    "extraction": Stage("activations", ("activations/extract.py",)),
}


def version_of(stage: str) -> int:
    """The version of a stage's results. Raises KeyError for a stage that has none."""
    return _versions()[stage]


def stage_parts(stage: str) -> dict[str, str]:
    """Digests of the modules behind a stage: those where it begins and all that they import."""
    return module_parts(STAGES[stage].modules)


def confirmed_path(stage: str, root: Path = ROOT) -> Path:
    """The file that says for which code the version of a stage was confirmed; a clone has it."""
    return root / "tools" / "confirmed" / f"{stage}.json"


def unconfirmed(stage: str, root: Path = ROOT) -> list[str]:
    """Modules behind a stage that are others than those its version was confirmed for, added and removed ones too."""
    path = confirmed_path(stage, root)
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    before = record.get("parts", {}) if record.get("version") == version_of(stage) else {}
    now = stage_parts(stage)
    return sorted(module for module in before.keys() | now.keys() if before.get(module) != now.get(module))


@cache
def _versions() -> dict[str, int]:
    return json.loads(PATH.read_text(encoding="utf-8"))
