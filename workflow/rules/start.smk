# Which code this start works with: a copy of the library and the rules, made when the driver starts (frozen_code.py).
# A job on a cluster reads what the driver wrote down for it, and neither the study nor the checkout.
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import LocalSourceFile

# Snakemake puts the path of its interpreter into shell commands as it is, which a clone in a folder with a space breaks.
INTERPRETER = (
    shlex.split(sys.executable)[0] if sys.executable[:1] == "'" else sys.executable
)
sys.executable = shlex.quote(INTERPRETER)
# Rules that are read from a URL have no folder: theirs is the one that pip installed beside the library.
FOLDER = Path(str(workflow.current_basedir))
if (source := FOLDER.parents[1] / "src").is_dir():
    sys.path.insert(0, str(source))
    # Plugins of Snakemake may have imported the library from elsewhere.
    loaded = sys.modules.get("neuroscaling")
    if loaded and Path(loaded.__file__).resolve().parents[1] != source.resolve():
        for name in [one for one in sys.modules if one.split(".")[0] == "neuroscaling"]:
            del sys.modules[name]

try:
    from neuroscaling.core import frozen_code
    from neuroscaling.core.installation import PIPELINE
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"The library of this workflow is missing ({error}).\n"
        f"pip install neuroscaling, for the Python that runs Snakemake: {INTERPRETER}"
    )
from neuroscaling.core.errors import NeuroscalingError, listing
from neuroscaling.core.provenance import VERSION
from neuroscaling.study import start_records

RULES = FOLDER if FOLDER.is_dir() else PIPELINE / "workflow" / "rules"
# Another workflow that uses this one, as a module or by `include:`, has a Snakefile of its own.
IS_OWN = os.path.realpath(workflow.main_snakefile) in {
    os.path.realpath(folder / "Snakefile")
    for folder in (RULES.parents[1], RULES.parent)
}


def other_files():
    """Files of these rules that differ from those that pip installed: they may be of another version."""
    installed = [*RULES.glob("*.smk"), *RULES.parent.glob("scripts/*.py")]
    names = {os.path.relpath(file, RULES): file.read_text() for file in installed}
    # What Snakemake reads from a Git repository loses its last line break.
    read = {name: Path(workflow.source_path(name)).read_text() for name in names}
    return sorted(name for name in names if read[name].strip() != names[name].strip())


if RULES != FOLDER and workflow.is_main_process and (differing := other_files()):
    raise WorkflowError(
        f"The rules at {FOLDER} and the library that pip installed at {RULES} are of different versions: "
        f"{listing(differing)}.\nName the tag of the installed version ({VERSION}) in the Snakefile, or pip install "
        "the version of the tag."
    )


def start_of_job():
    """The start that this process is a job of; None in the driver.

    Another workflow may have hooks of its own, and write no start down: then its jobs read the study.
    """
    if workflow.is_main_process:
        return None
    found = start_records.read_start(os.path.abspath(workflow.main_snakefile))
    if found is None and IS_OWN:
        raise WorkflowError(
            f"This job is of a former start, with the code at {RULES.parents[1]}: the present start of "
            f"{Path.cwd()} has another one. The driver of the present start submits its own jobs."
        )
    return found


try:
    # What a job on a cluster reads; None where the study is read.
    START = start_of_job()
    CODE = (
        Path(START.code)
        if START
        else frozen_code.freeze(start_records.CODE, RULES.parents[1])
    )
except NeuroscalingError as error:
    raise WorkflowError(str(error))

frozen_code.import_from(CODE)
RULES = CODE / "workflow" / "rules"
# Jobs, also in environments that conda made, import the library from there.
from neuroscaling.core.installation import with_library

os.environ.update(with_library())

if IS_OWN:
    # Jobs are told to read this Snakefile: the copy.
    copied = LocalSourceFile(str(CODE / "Snakefile"))
    workflow._included = {
        copied.get_path_or_uri(secret_free=True): copied,
        **workflow._included,
    }
