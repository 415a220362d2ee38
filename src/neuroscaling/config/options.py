"""What `snakemake --config` may say. Light."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroscaling.errors import Problem, StudyError, nearest

KEYS = {
    "study": "the study file",
    "planning": "true: a dry run of a study whose images are not here",
    "pythons": "interpreters of the environments, by name",
    "fsaverage": "folder of FreeSurfer's average surface",
    "whole": "true: the graph of all rules, as if nothing were there",
}
STUDIES = Path(__file__).parents[3] / "config" / "studies"


def named_study(config: Mapping[str, Any]) -> str:
    """The study file that `--config` names. Raises StudyError where it names none, or says what nothing reads."""
    problems = [
        Problem("unknown key", f"--config {key}", key, ", ".join(KEYS), nearest(key, KEYS), "correct or drop it")
        for key in config
        if key not in KEYS
    ]
    study = config.get("study")
    if not isinstance(study, str | Path) or not str(study).strip():
        known = ", ".join(sorted(str(path.name) for path in STUDIES.glob("*.yaml")))
        fix = "--config study=FILE, e.g. study=config/studies/demo.yaml; `make demo` runs the demo"
        value = study or None
        problems.append(
            Problem("no study is named", "--config study", value, f"a file; in config/studies: {known}", "", fix)
        )
    if problems:
        raise StudyError(problems)
    return str(study)
