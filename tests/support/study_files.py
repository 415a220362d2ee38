"""A study file is validated by itself, without a look at what it names."""

from pathlib import Path

from neuroscaling.core.errors import StudyError
from neuroscaling.study.study_sections import Study
from neuroscaling.study.validation import read_study_parts


def read_study_file(path: str | Path) -> Study:
    """The validated study of the YAML file at `path`. Raises StudyError with all that is wrong with it."""
    study, document, faults = read_study_parts(path)
    if faults or study is None:
        raise StudyError(document.problems(faults))
    return study
