"""A start of a study: what is written down before anything is planned. Light: the Snakefile imports it."""

import os
import shutil
import time
from pathlib import Path

from neuroscaling.errors import DataError, Problem, StudyError, listing
from neuroscaling.files import require_writable
from neuroscaling.paths import Results
from neuroscaling.store.absent import Absent
from neuroscaling.store.artefacts import write_wanted

PRIVATE = Path(".snakemake") / "neuroscaling"
LOCKS = Path(".snakemake") / "locks"


def markers(study: str) -> Path:
    """Folder of the files that say what jobs of this start have done.

    They are all that a job of the store declares: Snakemake deletes what a failed job declares.
    """
    return PRIVATE / study / "made"


def now(study: str) -> Path:
    """A file that is newer than all others, and another one at each start.

    What is made of something absent asks for it too: Snakemake takes an input that is gone for needless while what was
    made from it is there, and a file with another date and the same content for the same.
    """
    return PRIVATE / study / "now"


def begin(absent: Absent) -> None:
    """Forget the markers of former starts, and write down what the study wants.

    Markers stay while another driver is at work in this folder: this is a dry run beside it. Raises StudyError where
    something has to be made and the store can't be written to.
    """
    study = absent.targets.study
    if not is_locked():
        shutil.rmtree(markers(study.config.study), ignore_errors=True)
    write_wanted(absent.targets)
    now(study.config.study).parent.mkdir(parents=True, exist_ok=True)
    now(study.config.study).write_text(str(time.time_ns()))
    if lacking := absent.results:
        _require_store(absent, lacking)


def end(results: Results) -> None:
    """Keep what the study wanted: `neuroscaling status --why` tells what changed since."""
    if results.artefacts.is_file():
        shutil.copyfile(results.artefacts, results.last_artefacts)


def is_locked() -> bool:
    """Whether a driver of Snakemake is at work in this folder."""
    try:
        return bool(os.listdir(LOCKS))
    except OSError:
        return False


def _require_store(absent: Absent, lacking: list[Path]) -> None:
    store = absent.targets.store
    try:
        require_writable(store.root, "store")
    except DataError as error:
        names = listing([store.name_of(path) for path in lacking], 3)
        what = f"{len(lacking)} artefacts are to be made, and the store can't be written to"
        fix = f"a store of your own before it, `store: [FOLDER, {store.root}]`, or rights to write there"
        raise StudyError(
            [Problem(what, "store", str(store.root), f"it lacks {names}", fix=fix), *error.problems]
        ) from error
