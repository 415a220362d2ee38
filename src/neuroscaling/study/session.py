"""A start of a study looks at the store and writes down what the study wants.

The lists in `results/<study>/wanted/` name the score files and runs that the study's own files are made of;
`artefacts.json` has all names, and what determines them, for `status --why` and `store unused`. They are written only
where they change, so that their dates say when the study changed.
"""

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem, StudyError, listing, nearest
from neuroscaling.core.files import read_json, require_writable
from neuroscaling.core.hashing import ArtefactName, content_hash
from neuroscaling.core.installation import PIPELINE
from neuroscaling.core.provenance import installed
from neuroscaling.core.records import sealed, write_record
from neuroscaling.study.code_fingerprints import STAGE_ENTRIES, parts_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.paths import Results
from neuroscaling.study.start_records import PRIVATE
from neuroscaling.study.wanted import Absent, Targets
from neuroscaling.study.wanted_lists import WANTED

LOCKS = Path(".snakemake") / "locks"


def markers_folder(study: str) -> Path:
    """Folder of the markers, which record the jobs that this start has done.

    They are all that a job of the store declares: Snakemake deletes what a failed job declares.
    """
    return PRIVATE / study / "made"


def left_out_file(study: str) -> Path:
    """File in which the driver keeps which optional data sets it left out, for the graph of the rules."""
    return PRIVATE / study / "left_out.json"


def session_marker(study: str) -> Path:
    """A file that is newer than all others, and another one at each start.

    What is made of something absent asks for it too: Snakemake takes an input that is gone for needless while what was
    made from it is there, and a file with another date and the same content for the same.
    """
    return PRIVATE / study / "now"


def begin_session(absent: Absent) -> None:
    """Forget the markers of former starts, and write down what the study wants.

    While another driver is at work in this folder, this is a dry run beside it, and perhaps of another study file:
    markers and lists that are there stay as they are. Raises StudyError where something has to be made and the store
    can't be written to.
    """
    study = absent.targets.study
    marker = session_marker(study.config.study)
    if not (is_locked() and marker.is_file()):
        shutil.rmtree(markers_folder(study.config.study), ignore_errors=True)
        write_wanted(absent.targets)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(str(time.time_ns()))
    if lacking := absent.results:
        _require_store(absent, lacking)


def end_session(results: Results) -> None:
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
            [
                Problem(what=what, where="store", value=str(store.root), allowed=f"it lacks {names}", fix=fix),
                *error.problems,
            ]
        ) from error


PACKAGES = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "himalaya", "zarr", "pillow")
"""Packages that results depend on and that are in no name: an upgrade makes nothing anew, and is reported."""
ARTEFACTS = "artefacts/1"


def wanted_names(study: LoadedStudy) -> list[str]:
    """Everything that a study wants of its store: paths below it, sorted."""
    return _all_names(Targets(study))


def write_wanted(targets: Targets) -> None:
    """Write the lists of what a study wants, where their content has changed."""
    results, store = targets.study.results, targets.store
    wanted = {
        "scores": targets.score_files,
        "encoding": [score.path(store) for score in targets.scores if score.stage == "encoding"],
        "runs": targets.run_files,
        "layers": [one.path(store) for run in targets.references for one in targets.commitments(run)],
    }
    for what, paths in wanted.items():
        names = [store.name_of(path) for path in paths]
        others = _chosen_on(targets) if what == "scores" else {}
        _write_changed(results.wanted(what), {"format": WANTED, "names": names, "chosen_on": others})
    _write_changed(results.artefacts, artefacts_of(targets))


def _chosen_on(targets: Targets) -> dict[str, str]:
    """The run that the layers of a score are chosen on, where it is another one than is scored."""
    others = (score for score in targets.scores if score.chosen_on not in (None, score.run))
    return {targets.store.name_of(score.path(targets.store)): str(score.chosen_on) for score in others}


def _all_names(targets: Targets) -> list[str]:
    return sorted({targets.store.name_of(path) for path in targets.all_paths()})


def artefacts_of(targets: Targets) -> dict[str, Any]:
    """Everything that artefacts.json holds: names, their definitions (each once), the code behind them, packages; what
    the laws of each entry of a file of fits are called, in the order of the study.

    `left_out`: optional data sets that were not here, whose artefacts are not among the names.
    """
    study, names = targets.study, targets.names
    runs, recipes = _runs(study)
    brains = map(study.simulated_brain, study.config.simulated)
    return {
        "format": ARTEFACTS,
        "study": study.config.study,
        "names": _all_names(targets),
        "stages": {
            "simulated": {str(name): dict(name.definition) for name in brains},
            "stimuli": {name: dict(one.made.definition) for name, one in targets.sets.items()},
            "activations": {run.arch: names.extraction(run) for run in study.runs.values()},
            "layers": {
                str(one.name): dict(one.name.definition)
                for run in targets.references
                for one in targets.commitments(run)
            },
            "scores": {str(name): dict(name.definition) for name in _distinct(targets)},
        },
        "runs": runs,
        "recipes": recipes,
        "fits": {name: job.settings for name, job in study.fits.items()},
        "laws": [{"fit": fit, **words} for fit, words in study.laws.items()],
        "code": {stage: parts_of(stage) for stage in STAGE_ENTRIES},
        "packages": installed(PACKAGES),
        **({"left_out": list(study.left_out)} if study.left_out else {}),
    }


def _distinct(targets: Targets) -> Iterable[ArtefactName]:
    """The names of the scores, each once: all runs share them."""
    return {id(score.name): score.name for score in targets.scores}.values()


def _runs(study: LoadedStudy) -> tuple[dict[str, Any], dict[str, Any]]:
    """What determines each run, and the recipes of them, each once: runs have keys in their place."""
    runs, recipes = {}, {}
    for name, run in study.runs.items():
        recipe = run.definition.get("recipe")
        key = recipe and content_hash(recipe)
        runs[name] = {"arch": run.arch, **run.definition, "recipe": key}
        if key:
            recipes[key] = recipe
    return runs, recipes


def _write_changed(path: Path, content: dict[str, Any]) -> None:
    try:
        if read_json(path) == sealed(content):
            return
    except NeuroscalingError:
        pass
    write_record(path, content)


KEYS = {
    "study": "the study file",
    "planning": "true: a dry run of a study whose images are not here",
    "pythons": "interpreters of the environments, by name",
    "notify": "a command that is told of the first failure and of the end",
    "container": "the image that jobs run in, with --sdm apptainer",
    "fsaverage": "folder of FreeSurfer's average surface",
    "whole": "true: the graph of all rules, as if nothing were there",
}
STUDIES = PIPELINE / "config" / "studies"


def named_study(config: Mapping[str, Any]) -> str:
    """The study file that `--config` names. Raises StudyError where it names none, or has a key that nothing reads."""
    problems = [
        Problem(
            what="unknown key",
            where=f"--config {key}",
            value=key,
            allowed=", ".join(KEYS),
            nearest=nearest(key, KEYS),
            fix="correct or drop it",
        )
        for key in config
        if key not in KEYS
    ]
    study = config.get("study")
    if not isinstance(study, str | Path) or not str(study).strip():
        known = ", ".join(sorted(str(path.name) for path in STUDIES.glob("*.yaml")))
        fix = "--config study=FILE, e.g. study=config/studies/demo.yaml; `make demo` runs the demo"
        value = study or None
        problems.append(
            Problem(
                what="no study is named",
                where="--config study",
                value=value,
                allowed=f"a file; in config/studies: {known}",
                nearest="",
                fix=fix,
            )
        )
    if problems:
        raise StudyError(problems)
    return str(study)
