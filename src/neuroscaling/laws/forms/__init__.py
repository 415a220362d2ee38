"""The forms of the laws. Adding a form is adding its FORM, and its name to `FORM_NAMES` of the files of fits."""

from neuroscaling.errors import DataError, Problem, nearest
from neuroscaling.laws.forms.base import Form
from neuroscaling.laws.forms.chinchilla import FORM as CHINCHILLA
from neuroscaling.laws.forms.log_linear import FORM as LOG_LINEAR
from neuroscaling.laws.forms.logistic import FORM as LOGISTIC
from neuroscaling.laws.forms.power_law import FORM as POWER_LAW
from neuroscaling.laws.forms.power_law_ceiling import FORM as POWER_LAW_CEILING
from neuroscaling.laws.forms.power_law_shift import FORM as POWER_LAW_SHIFT
from neuroscaling.laws.forms.sqrt_saturating import FORM as SQRT_SATURATING

FORMS: dict[str, Form] = {
    form.name: form
    for form in (CHINCHILLA, LOG_LINEAR, LOGISTIC, POWER_LAW, POWER_LAW_CEILING, POWER_LAW_SHIFT, SQRT_SATURATING)
}


def form_by_name(name: str) -> Form:
    """The form called `name`. Raises DataError with the nearest name when there is none."""
    if name not in FORMS:
        raise DataError(Problem("unknown form", "form", name, ", ".join(FORMS), nearest(name, FORMS)))
    return FORMS[name]
