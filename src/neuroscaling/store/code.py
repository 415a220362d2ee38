"""Fingerprints of the code behind the cheap stages: a changed formula gives other names, a comment none."""

from functools import cache

from neuroscaling.code import SOURCE, code_parts, fingerprint_of

ENTRIES = {
    "brainscore": "brainscore/job.py",
    "layers": "brainscore/choose_job.py",
    "ceilings": "brainscore/defined.py",
    "encoding": "encoding/batch.py",
    "v4": "encoding/v4_score.py",
    "v4_assembly": "encoding/v4_assembly.py",
    "nsd": "encoding/nsd/prepare.py",
}
"""The module that does a stage's work, by the stage. What it imports counts too."""


@cache
def code_of(stage: str) -> str:
    """Fingerprint of the code behind a stage."""
    return fingerprint_of(parts_of(stage))


@cache
def parts_of(stage: str) -> dict[str, str]:
    """What the fingerprint is made of: a digest of each module behind a stage."""
    return code_parts(SOURCE / ENTRIES[stage])
