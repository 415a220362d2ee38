"""Reading a study file: YAML, variables, sections; every fault of the file becomes a Problem with its line."""

import os
import re
from pathlib import Path

from neuroscaling.config import Study
from neuroscaling.document import Document, read_document
from neuroscaling.errors import Fault, Problem, StudyError
from neuroscaling.validation import validated

STAND_INS = {"study": "unnamed"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


def read_study_file(path: str | Path) -> Study:
    """The validated study of the YAML file at `path`.

    Raises StudyError with all problems of the file at once: YAML syntax, unset variables, unknown keys, wrong values.
    """
    study, document, faults = read_study_parts(path)
    if faults or study is None:
        raise StudyError(document.problems(faults))
    return study


def read_study_parts(path: str | Path) -> tuple[Study | None, Document, list[Fault]]:
    """What can be used of a study file, its document, and what is wrong with it: see `validation.validated`.

    Raises StudyError where the file is missing or no YAML.
    """
    document = read_document(path, "study file", "give --config study=FILE, a YAML file", replaced)
    return validated(Study, document, STAND_INS)


def replaced(text: str) -> tuple[str, list[Problem]]:
    """A text with $NAME, ${NAME}, ${NAME:-default} and a leading ~/ replaced; unset variables are problems."""
    problems: list[Problem] = []

    def replace(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        found = os.environ.get(name) or default
        if found is None:
            problems.append(Problem(f"the variable ${name} is not set", "", text, fix=f"export {name}=..."))
        return found or ""

    expanded = VARIABLE.sub(replace, text)
    return (os.path.expanduser(expanded) if expanded.startswith("~/") else expanded), problems
