"""A study file is validated by itself, without a look at what it names."""

from pathlib import Path

from neuroscaling.core.errors import StudyError
from neuroscaling.study.sections.validation import read_study_parts
from neuroscaling.study.sections.whole_study import Study


def read_study_file(path: str | Path) -> Study:
    """The validated study of the YAML file at `path`. Raises StudyError with all that is wrong with it."""
    study, document, faults = read_study_parts(path)
    if faults or study is None:
        raise StudyError(document.problems(faults))
    return study
