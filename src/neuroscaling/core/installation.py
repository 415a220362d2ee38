"""Where this library and its pipeline lie, in a checkout or as pip installed them, and what pip did not install.

The wheel holds the pipeline (`Snakefile`, `workflow/`, `config/`, `profiles/`, `envs/`) in the package's folder
`pipeline/`; in a checkout it lies at the top. The jobs of a start run a copy of both (core/frozen_code.py), which knows
where it was copied from. Imported by the Snakefile and in both environments: light.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem

PACKAGE = Path(__file__).parents[1]
FROZEN_FACTS = "frozen.json"


@dataclass(frozen=True)
class Frozen:
    """Where a frozen copy of this library comes from. revision: of the clone, as provenance names it."""

    pipeline: Path
    checkout: Path
    revision: str | None


def _frozen() -> Frozen | None:
    """What a frozen copy says of itself, if this is one."""
    try:
        facts = json.loads((PACKAGE.parents[1] / FROZEN_FACTS).read_text(encoding="utf-8"))
    except OSError:
        return None
    return Frozen(Path(facts["pipeline"]), Path(facts["checkout"]), facts["revision"])


FROZEN = _frozen()
WHEEL = PACKAGE / "pipeline"
CHECKOUT = FROZEN.checkout if FROZEN else PACKAGE.parents[1]
PIPELINE = FROZEN.pipeline if FROZEN else WHEEL if WHEEL.is_dir() else CHECKOUT
"""The folder with the Snakefile, the rules, and what a study may name: recipes, fits, claims, columns, studies."""
LIBRARY = WHEEL / "library" if WHEEL.is_dir() else PACKAGE.parent
"""A folder for PYTHONPATH from which an interpreter of another environment imports this library, and nothing else."""
SNAKEFILE = PIPELINE / "Snakefile"
DRIVER = PIPELINE / "workflow" / "driver.py"
"""The script that runs Snakemake, with its options."""
IN_IMAGE = Path("/opt/neuroscaling")
"""The folder of the checkout in an image of envs/Dockerfile or envs/apptainer.def."""
EXTRAS = {
    "train": "torch torchvision timm safetensors numcodecs",
    "fmri": "nibabel nilearn netCDF4",
    "brainscore": "brainscore_vision brainscore_core",
    "report": "altair vl_convert",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}
"""The modules that each extra of the package brings; `pyproject.toml` names their packages."""
APART = ("tensorboard", "wandb")
"""Extras that `make env` leaves out."""


def interpreter(environment: str, named: str | None = None) -> Path:
    """The Python of an environment: `named`, else that of NEUROSCALING_<ENVIRONMENT>_PYTHON, else that of `make env`.

    Raises DataError where there is none, with the ways to get it.
    """
    variable = f"NEUROSCALING_{environment.upper()}_PYTHON"
    path = named or os.environ.get(variable)
    ways = f"name one in {variable}, or with --config pythons='{{{environment}: /path/to/python}}'"
    if PIPELINE == CHECKOUT:
        path = path or str(CHECKOUT / ".venv" / environment / "bin" / "python")
        ways = f"`make env`, or conda (snakemake --sdm conda), or {ways}"
    else:
        ways = f'pip install "neuroscaling[{environment}]" in an environment of its own (Python 3.11), then {ways}'
    if path and Path(path).exists():
        return Path(path)
    raise DataError(
        Problem(what=f"the interpreter of the environment `{environment}` is missing", value=path, fix=ways)
    )


def with_library() -> dict[str, str]:
    """This process's environment variables, for an interpreter that imports this library from where it lies."""
    paths = [str(LIBRARY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


@contextmanager
def extras_told() -> Iterator[None]:
    """Where a package is missing that an extra brings, raise NeuroscalingError with the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        problem = missing_extra(error)
        if problem is None:
            raise
        raise NeuroscalingError(problem) from error


def missing_extra(error: ModuleNotFoundError) -> Problem | None:
    """What to install where an import failed; None where the module is of no extra."""
    module = (error.name or "").split(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules.split()), None)
    if extra is None:
        return None
    fix = f'pip install "neuroscaling[{extra}]"'
    if extra == "brainscore":
        fix += " in an environment of its own (Python 3.11)"
    elif PIPELINE == CHECKOUT and extra in APART:
        fix = f'`{sys.executable} -m pip install {module}`, which is what "neuroscaling[{extra}]" brings'
    elif PIPELINE == CHECKOUT:
        fix = f"`make env`, or {fix}"
    return Problem(what=f"this needs `{module}`, which is not installed", where=sys.executable, fix=fix)
