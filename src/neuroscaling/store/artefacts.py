"""What a study wants of its store, written down whenever it is started.

The lists in `results/<study>/wanted/` name the score files and runs that the study's own files are made of;
`artefacts.json` has all names, and what determines them, for `status --why` and `store unused`. They are written only
where they change, so that their dates say when the study changed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.names import Name
from neuroscaling.core.records import read_record, sealed, write_record
from neuroscaling.core.run_record import failure_in
from neuroscaling.errors import NeuroscalingError
from neuroscaling.files import read_json
from neuroscaling.hashing import content_hash
from neuroscaling.paths import Store
from neuroscaling.provenance import installed
from neuroscaling.store.code import ENTRIES, parts_of
from neuroscaling.study import LoadedStudy
from neuroscaling.targets import RECORD, Targets

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "himalaya", "zarr", "pillow")
"""What results depend on and no name says: an upgrade makes nothing anew, and is told."""
WANTED, ARTEFACTS = "wanted/1", "artefacts/1"


def wanted_names(study: LoadedStudy) -> list[str]:
    """Everything that a study wants of its store: paths below it, sorted."""
    return _all_names(Targets(study))


def write_wanted(targets: Targets) -> None:
    """Write the files of a study, where they are not there as they would be written."""
    results, store = targets.study.results, targets.store
    wanted = {
        "scores": targets.score_files,
        "encoding": [score.path(store) for score in targets.scores if score.stage == "encoding"],
        "runs": targets.run_files,
    }
    for what, paths in wanted.items():
        names = [store.name_of(path) for path in paths]
        others = _chosen_on(targets) if what == "scores" else {}
        _write_changed(results.wanted(what), {"format": WANTED, "names": names, "chosen_on": others})
    _write_changed(results.artefacts, artefacts_of(targets))


def read_wanted(path: str | Path, folders: Sequence[str | Path]) -> list[Path]:
    """Where the things of a list lie in a store of `folders`, but for scores whose layers were chosen on a failed run.

    Raises DataError for a file that is none.
    """
    store = Store.of([Path(folder) for folder in folders])
    content = read_record(path, WANTED, "start the study again")
    chosen_on: dict[str, str] = content["chosen_on"]
    records = {run: store.find(store.run(run) / RECORD) for run in set(chosen_on.values())}
    failed = {run for run, record in records.items() if failure_in(record.parent)}
    return [store.find(store.root / name) for name in content["names"] if chosen_on.get(name) not in failed]


def _chosen_on(targets: Targets) -> dict[str, str]:
    """The run that the layers of a score are chosen on, where it is another one than is scored."""
    others = (score for score in targets.scores if score.chosen_on not in (None, score.run))
    return {targets.store.name_of(score.path(targets.store)): str(score.chosen_on) for score in others}


def _all_names(targets: Targets) -> list[str]:
    return sorted({targets.store.name_of(path) for path in targets.all_paths()})


def artefacts_of(targets: Targets) -> dict[str, Any]:
    """All names, and definitions: each once, under what is made of it; the code behind names, and packages."""
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
        "code": {stage: parts_of(stage) for stage in ENTRIES},
        "packages": installed(PACKAGES),
    }


def _distinct(targets: Targets) -> Iterable[Name]:
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
