"""Names in a study file and in its files of fits that stand for nothing.

Looked for in what the file says, before it is a `Study`: names are checked even where other values are faulty. Light.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import Fault, Location, NeuroscalingError, Problem, listing, nearest
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.score_scales import SCALES
from neuroscaling.core.score_table import VALIDATION
from neuroscaling.datasets.formats import KNOWN_SIZES as KNOWN_DATASETS
from neuroscaling.study import architectures, benchmarks, recording_folders
from neuroscaling.study.paths import find_file
from neuroscaling.study.recipes import Recipe, checkpoint_epochs, load_recipe, recipe_file
from neuroscaling.study.sections.claim_files import read_claim_file, unknown_fits
from neuroscaling.study.sections.fit_files import (
    FitFile,
    expand_fits,
    load_fit_file,
    read_fit_file,
    same_names,
    single_values,
)
from neuroscaling.study.sections.fits import Fit
from neuroscaling.study.sections.key_types import is_dotted_path
from neuroscaling.study.sections.yaml_document import Document

SOURCES = ("algonauts2023", "nsd", "tvsd", "things_fmri", "v4")
EACH = object()
"""In a pattern of keys: every item of a list or of a mapping."""


def name_faults(document: Document, file: Path) -> Iterator[Fault]:
    """Every name in the study that stands for nothing; `file`: the study's own, from whose folder recipes are found."""
    content = document.content
    yield from _arch_faults(content)
    yield from _recipe_faults(content, file)
    yield from _unknown(content, ("runs", EACH, "datasets", EACH), "dataset", keys_at(content, "datasets"))
    yield from _unknown_keys(content, ("training", "packs"), "dataset", keys_at(content, "datasets"))
    for pattern in (("brainscore", "data", "simulated"), ("encoding", EACH, "data", "simulated")):
        yield from _unknown(content, pattern, "simulated brain", keys_at(content, "simulated"))
    yield from _benchmark_faults(content)
    yield from _arrays_faults(content)
    for arch in keys_at(content, "layers"):
        yield from _unknown_keys(content, ("layers", arch, "regions"), "region", list(benchmarks.BRAINSCORE_REGIONS))
    yield from _region_faults(content)
    yield from _submission_faults(content)


def texts(content: Any, pattern: tuple[Any, ...], place: Location = ()) -> Iterator[tuple[Location, str]]:
    """The texts at the places that a pattern of keys names, e.g. ("runs", EACH, "archs", EACH)."""
    if not pattern:
        if isinstance(content, str):
            yield place, content
        return
    first, *rest = pattern
    if first is EACH and isinstance(content, list):
        for i, item in enumerate(content):
            yield from texts(item, tuple(rest), (*place, i))
    elif first is EACH and isinstance(content, dict):
        for key, item in content.items():
            yield from texts(item, tuple(rest), (*place, key))
    elif isinstance(content, dict) and first in content:
        yield from texts(content[first], tuple(rest), (*place, first))


def keys_at(content: Any, *path: str) -> list[str]:
    """Keys of the mapping at `path`; none where there is no mapping."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return [key for key in content if isinstance(key, str)] if isinstance(content, dict) else []


def _unknown(content: Any, pattern: tuple[Any, ...], what: str, allowed: list[str]) -> Iterator[Fault]:
    for place, name in texts(content, pattern):
        if name not in allowed:
            yield Fault(
                place,
                Problem(
                    what=f"unknown {what}",
                    where="",
                    value=name,
                    allowed=listing(allowed),
                    nearest=nearest(name, allowed),
                ),
            )


def _unknown_keys(content: Any, path: tuple[str, ...], what: str, allowed: list[str]) -> Iterator[Fault]:
    for name in keys_at(content, *path):
        if name not in allowed:
            problem = Problem(
                what=f"unknown {what}", where="", value=name, allowed=listing(allowed), nearest=nearest(name, allowed)
            )
            yield Fault((*path, name), problem)


def _arch_faults(content: Any) -> Iterator[Fault]:
    found = [pair for key in ("archs", "untrained", "pretrained") for pair in texts(content, ("runs", EACH, key, EACH))]
    found += [(("layers", arch), arch) for arch in keys_at(content, "layers")]
    for place, name in found:
        yield from (Fault(place, problem) for problem in architectures.architecture_problems(name))


def _recipe_faults(content: Any, file: Path) -> Iterator[Fault]:
    protocol = content.get("protocol") if isinstance(content, dict) else None
    seen: dict[str, tuple[Path, str]] = {}
    for place, name in texts(content, ("runs", EACH, "recipe")):
        try:
            recipe = load_recipe(name, "parity" if protocol == "parity" else "corrected", file)
            path = recipe_file(name, file)
            digest = file_sha256(path)
        except NeuroscalingError as error:
            yield from (Fault(place, problem) for problem in error.problems)
            continue
        other, known = seen.setdefault(path.stem, (path, digest))
        if known != digest:
            # Runs of both would stand in tables and figures under one name.
            what = f"two recipes are called `{path.stem}`"
            yield Fault(place, Problem(what=what, where="", value=str(path), fix=f"rename this file or {other}"))
        yield from _epoch_faults(content["runs"][place[1]], place[:2], recipe)


def _epoch_faults(group: Any, place: Location, recipe: Recipe) -> Iterator[Fault]:
    """Epochs of a group of trainings whose weights its recipe does not keep."""
    kept, asked = checkpoint_epochs(recipe), group.get("epochs")
    for i, epoch in enumerate(asked if isinstance(asked, list) else ()):
        if isinstance(epoch, int) and epoch not in kept:
            allowed = f"{listing(sorted(kept), 40)} (`checkpoints:` of the recipe `{recipe.name}`)"
            fix = f"a recipe that keeps them, with `checkpoints: log` or `checkpoints: [{epoch}]`; it trains anew"
            if epoch == 0:
                fix = "a group `untrained:` has networks before their training"
            elif epoch > recipe.epochs:
                fix = f"the training ends after epoch {recipe.epochs}"
            problem = Problem(
                what="the recipe keeps no weights of this epoch", where="", value=epoch, allowed=allowed, fix=fix
            )
            yield Fault((*place, "epochs", i), problem)


def _benchmark_faults(content: Any) -> Iterator[Fault]:
    defined = keys_at(content, "brainscore", "define")
    for place, name in texts(content, ("brainscore", "benchmarks", EACH)):
        if name not in benchmarks.BENCHMARKS and name not in defined:
            yield Fault(place, _unknown_benchmark(name, [*defined, *benchmarks.BENCHMARKS]))
    for name in defined:
        if name in benchmarks.BENCHMARKS or name in benchmarks.NOT_SERVED:
            fix = "give it another name, or drop the definition to use the registered one"
            problem = Problem(what="a benchmark of this name is registered", where="", value=name, fix=fix)
            yield Fault(("brainscore", "define", name), problem)


def _arrays_faults(content: Any) -> Iterator[Fault]:
    """Recordings of one's own that are called as others are: their scores would be one benchmark's."""
    taken = {VALIDATION, *SOURCES, *benchmarks.BENCHMARKS, *keys_at(content, "brainscore", "define")}
    for place, name in texts(content, ("encoding", EACH, "name")):
        if name in taken:
            what = "another benchmark has this name"
            yield Fault(place, Problem(what=what, where="", value=name, fix="give these recordings another"))


def _unknown_benchmark(name: str, allowed: list[str]) -> Problem:
    if name in benchmarks.NOT_SERVED:
        what = f"this benchmark is not served: {benchmarks.NOT_SERVED[name]}"
        return Problem(what=what, where="", value=name, allowed="`neuroscaling benchmarks` lists those that are")
    fix = "`neuroscaling benchmarks` lists all; one of your own goes under `brainscore.define`"
    return Problem(
        what="unknown benchmark",
        where="",
        value=name,
        allowed=listing(allowed),
        nearest=nearest(name, allowed),
        fix=fix,
    )


def _region_faults(content: Any) -> Iterator[Fault]:
    """Regions of the Algonauts challenge; those of NSD are what its label files name."""
    for (*place, _), source in texts(content, ("encoding", EACH, "source")):
        if source == "algonauts2023":
            entry = content["encoding"][place[1]]
            for inner, region in texts(entry, ("regions", EACH)):
                if region not in recording_folders.FMRI_REGIONS:
                    allowed = list(recording_folders.FMRI_REGIONS)
                    problem = Problem(
                        what="unknown region",
                        where="",
                        value=region,
                        allowed=listing(allowed),
                        nearest=nearest(region, allowed),
                    )
                    yield Fault((*place, *inner), problem)


def _submission_faults(content: Any) -> Iterator[Fault]:
    keys = ("archs", "untrained", "pretrained", "baselines")
    archs = [name for key in keys for _, name in texts(content, ("runs", EACH, key, EACH))]
    for place, name in texts(content, ("encoding", EACH, "submissions", EACH, "archs", EACH)):
        if name not in archs:
            yield Fault(
                place,
                Problem(
                    what="no run of this architecture",
                    where="",
                    value=name,
                    allowed=listing(archs),
                    nearest=nearest(name, archs),
                ),
            )


OBJECTIVES = ("supervised", "simclr", "dino", "adversarial")
KINDS = {
    "archs": "trained",
    "untrained": "untrained",
    "pretrained": "pretrained",
    "checkpoints": "checkpoint",
    "baselines": "baseline",
}


def fit_faults(study: Document, file: Path, further: Collection[str] | None = ()) -> list[Fault]:
    """Everything that is wrong with the files that a study names under `fits:`, at their places in the study.

    further: columns of the study's own table, None where nobody knows them.
    """
    faults: list[Fault] = []
    files: list[tuple[FitFile, Document]] = []
    for place, path in texts(study.content, ("fits", EACH)):
        if not Path(path).name:
            continue  # no path of a file, which has been told
        try:
            fit_file, document, found = read_fit_file(find_file(Path(path), file), further)
        except NeuroscalingError as error:
            faults += [Fault(place, problem) for problem in error.problems]
            continue
        if fit_file is not None:
            files.append((fit_file, document))
            found = [*found, *same_names(files), *_filter_faults(fit_file, document, study.content)]
        faults += [Fault(place, problem) for problem in document.problems(found)]
    return faults


def claim_faults(study: Document, file: Path) -> list[Fault]:
    """Everything that is wrong with the files that a study names under `claims:`, at their places in the study."""
    faults: list[Fault] = []
    known = _names_of_fits(study, file)
    for place, path in texts(study.content, ("claims", EACH)):
        if not Path(path).name:
            continue  # no path of a file, which has been told
        try:
            claims, document, found = read_claim_file(find_file(Path(path), file))
        except NeuroscalingError as error:
            faults += [Fault(place, problem) for problem in error.problems]
            continue
        if claims is not None and known:
            found = [*found, *unknown_fits(claims, document, known)]
        faults += [Fault(place, problem) for problem in document.problems(found)]
    return faults


def _names_of_fits(study: Document, file: Path) -> list[str]:
    """Names of all fits of a study; none where a file of fits can't be read, which is told elsewhere."""
    try:
        files = [load_fit_file(find_file(Path(path), file)) for _, path in texts(study.content, ("fits", EACH))]
    except NeuroscalingError:
        return []
    return [job.name for one in files for job in expand_fits(one)]


def _filter_faults(fit_file: FitFile, document: Document, study: Any) -> Iterator[Fault]:
    """Filters and `by` that name what no row of any study can have.

    What another study could have is let through: files of fits serve several, and a law without rows is told as such.
    """
    columns = _columns(study)
    for i, fit in enumerate(fit_file.fits):
        for place, column, values in _compared(fit):
            known = columns.get(column, set())
            for value in values if known else ():
                if (
                    isinstance(value, str)
                    and value not in known
                    and not (column == "arch" and architectures.is_architecture(value))
                ):
                    problem = Problem(
                        what="no row can have this value",
                        where="",
                        value=value,
                        allowed=listing(sorted(known)),
                        nearest=nearest(value, known),
                    )
                    yield Fault(document.in_file(("fits", i, *place)), problem)


def _compared(fit: Fit) -> Iterator[tuple[Location, str, list[Any]]]:
    """Place in the fit, column and values of each comparison."""
    for column, condition in fit.filters.items():
        yield ("filters", column), column, single_values(condition)
    for column, values in fit.by.items():
        yield ("by", column), column, values


def _columns(study: Any) -> dict[str, set[str]]:
    """The words of columns that are known before anything has run: those of this study, and what others could have.

    Columns are left out where the study can't tell: of tables that are there, of regions that files of NSD and
    THINGS-fMRI name, of sessions that are found in a folder, of data sets that tables of checkpoints name.
    """
    if not isinstance(study, dict) or any(study.get(key) is not None for key in ("published", "scores")):
        return {}
    archs = {name for key in KINDS for _, name in texts(study, ("runs", EACH, key, EACH))}
    found = {
        "kind": set(KINDS.values()),
        "arch": archs | {"pixels", "gabor"},
        "arch_family": architectures.all_families(),
        "objective": set(OBJECTIVES),
        "protocol": {"corrected", "parity"},
        "scale": set(SCALES),
        "dataset": {*keys_at(study, "datasets"), *KNOWN_DATASETS},
    }
    if any(True for _ in texts(study, ("runs", EACH, "checkpoints"))):
        del found["dataset"]  # tables of checkpoints name others
    sources = {source for _, source in texts(study, ("encoding", EACH, "source"))}
    if not sources & {"nsd", "arrays", "things_fmri"} and not any(map(is_dotted_path, sources)):
        defined = {region for _, region in texts(study, ("brainscore", "define", EACH, "region"))}
        found["region"] = {
            *benchmarks.BRAINSCORE_REGIONS,
            *recording_folders.FMRI_REGIONS,
            *defined,
            "behavior",
            "accuracy",
        }
    sessions = {text for _, text in texts(study, ("encoding", EACH, "sessions", EACH))}
    if "v4" not in sources or sessions:
        public = {file.rpartition("_")[2].partition(".")[0] for file in recording_folders.v4_sha256()}
        arrays = {name for _, name in texts(study, ("encoding", EACH, "name"))}
        own = {*keys_at(study, "brainscore", "define"), *sessions, *public, *arrays}
        found["benchmark"] = {VALIDATION, *SOURCES, *benchmarks.BENCHMARKS, *own}
    return found
