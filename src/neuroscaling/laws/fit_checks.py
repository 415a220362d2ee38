"""What can be wrong with the files of fits of a study: names in two of them, filters that no row can pass. Light."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroscaling.brainscore import ids
from neuroscaling.core.scales import SCALES
from neuroscaling.datasets.declared import KNOWN as KNOWN_DATASETS
from neuroscaling.document import Document
from neuroscaling.encoding import rois, v4
from neuroscaling.errors import Fault, Location, NeuroscalingError, Problem, listing, nearest
from neuroscaling.laws.config import Fit, FitFile, read_fit_file, same_names, single_values
from neuroscaling.models import names
from neuroscaling.name_checks import EACH, keys_at, texts
from neuroscaling.paths import find_file
from neuroscaling.table import VALIDATION

OBJECTIVES = ("supervised", "simclr", "dino", "adversarial")
KINDS = {"archs": "trained", "untrained": "untrained", "pretrained": "pretrained", "baselines": "baseline"}


def fit_faults(study: Document, file: Path) -> list[Fault]:
    """Everything that is wrong with the files that a study names under `fits:`, at their places in the study."""
    faults: list[Fault] = []
    files: list[tuple[FitFile, Document]] = []
    for place, path in texts(study.content, ("fits", EACH)):
        if not Path(path).name:
            continue  # no path of a file, which has been told
        try:
            fit_file, document, found = read_fit_file(find_file(Path(path), file))
        except NeuroscalingError as error:
            faults += [Fault(place, problem) for problem in error.problems]
            continue
        if fit_file is not None:
            files.append((fit_file, document))
            found = [*found, *same_names(files), *_filter_faults(fit_file, document, study.content)]
        faults += [Fault(place, problem) for problem in document.problems(found)]
    return faults


def _filter_faults(fit_file: FitFile, document: Document, study: Any) -> Iterator[Fault]:
    """Filters and `by` that name what no row of any study can have.

    What another study could have is let through: files of fits serve several, and a law without rows is told as such.
    """
    columns = _columns(study)
    for i, fit in enumerate(fit_file.fits):
        for place, column, values in _compared(fit):
            known = columns.get(column)
            for value in values if known else ():
                if isinstance(value, str) and value not in known and not (column == "arch" and names.known(value)):
                    problem = Problem(
                        "no row can have this value", "", value, listing(sorted(known)), nearest(value, known)
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

    Columns are left out where the study can't tell: of published tables, of regions that NSD's label files name, of
    sessions that are found in a folder.
    """
    if not isinstance(study, dict) or study.get("published") is not None:
        return {}
    archs = {name for key in KINDS for _, name in texts(study, ("runs", EACH, key, EACH))}
    found = {
        "kind": set(KINDS.values()),
        "arch": archs | {"pixels", "gabor"},
        "arch_family": names.families(),
        "objective": set(OBJECTIVES),
        "protocol": {"corrected", "parity"},
        "scale": set(SCALES),
        "dataset": {*keys_at(study, "datasets"), *KNOWN_DATASETS},
    }
    sources = {source for _, source in texts(study, ("encoding", EACH, "source"))}
    if "nsd" not in sources:
        defined = {region for _, region in texts(study, ("brainscore", "define", EACH, "region"))}
        found["region"] = {*ids.REGIONS, *rois.REGIONS, *defined, "behavior", "accuracy"}
    sessions = {text for _, text in texts(study, ("encoding", EACH, "sessions", EACH))}
    if "v4" not in sources or sessions:
        public = {file.rpartition("_")[2].partition(".")[0] for file in v4.checksums()}
        own = {*keys_at(study, "brainscore", "define"), *sessions, *public}
        found["benchmark"] = {VALIDATION, "algonauts2023", "nsd", *ids.BENCHMARKS, *own}
    return found
