"""The forms of the laws, one a file: the file's name is the form's name, and its FORM the form.

Adding a form is adding its file.
"""

from importlib import import_module
from pathlib import Path

from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.laws.forms.base import Form, Parameter

__all__ = ["FORMS", "Form", "Parameter", "form_by_name"]

FORMS: dict[str, Form] = {
    path.stem: import_module(f"{__name__}.{path.stem}").FORM
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))
    if path.stem != "base"
}


def form_by_name(name: str) -> Form:
    """The form called `name`. Raises DataError with the nearest name when there is none."""
    if name not in FORMS:
        raise DataError(Problem("unknown form", "form", name, ", ".join(FORMS), nearest(name, FORMS)))
    return FORMS[name]
