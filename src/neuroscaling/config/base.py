"""What every section of the study file is made of."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

NAME = r"^[A-Za-z0-9][A-Za-z0-9.-]*$"
# A folder that `${VARIABLE:-}` may leave empty.
OptionalFolder = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
