"""`open_study` reads what a study made: its runs, scores, laws and activations."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from neuroscaling.api.extraction import open_activations
from neuroscaling.api.laws import Laws, laws_of
from neuroscaling.api.tables import table_html, table_text
from neuroscaling.core.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.core.records import RUN_RECORD, failure_in
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.finished_law import read_fit
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.paths import Results, find_file
from neuroscaling.study.sections.validation import read_study_parts
from neuroscaling.study.sections.whole_study import Study as StudyFile
from neuroscaling.study.wanted import Targets

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

DONE, FAILED, ABSENT = "done", "failed", "absent"


@dataclass(frozen=True, repr=False)
class Study:
    """A study with what it has made. Scores, laws and report are read without the data that the study is about.

    Attributes:
        file: the study file.
        config: what it says.
        results: where its own files lie.
    """

    file: Path
    config: StudyFile
    results: Results

    @property
    def name(self) -> str:
        """Its name, which its results are called after."""
        return self.config.study

    @property
    def report(self) -> Path:
        """The page of its report. Raises DataError where it is not made yet."""
        return self._made(self.results.report, "report")

    def runs(self) -> "pd.DataFrame":
        """A row for each run: its name, network and training images, and whether it is done, failed or absent.

        Raises StudyError where the study's data are not here: names of runs follow from them.
        """
        import pandas as pd

        columns = ("run", "kind", "arch", "family", "dataset", "samples_per_class", "seed")
        rows = [[*run.content(columns).values(), self._state(run.run)] for run in self._loaded.runs.values()]
        return pd.DataFrame(rows, columns=[*columns, "state"])

    def scores(self) -> "pd.DataFrame":
        """The score table: a row for each run, benchmark and region (docs/formats.md). Raises DataError without one."""
        return read_table(self._made(self.results.table, "score table"))

    def fits(self) -> Laws:
        """The laws by the names of their fits. Raises DataError where none is made yet."""
        names = LoadedStudy(self.file, self.config).fits
        found: dict[Hashable, FitRecord] = {}
        absent: dict[Hashable, str] = {}
        for name in names:
            path = self.results.fit(name)
            if path.is_file():
                found[name] = read_fit(path)
            else:
                absent[name] = "not made yet"
        if names and not found:
            self._made(self.results.fit(next(iter(names))), "fit")
        laws = laws_of(found, ("fit",))
        return Laws(laws.laws, laws.reasons | absent, laws.by)

    def activations(self, run: str, stimuli: str | None = None) -> "xr.DataTree":
        """A run's activations, as `extract` returns them. stimuli: name of the set, where the study has several.

        Raises DataError for a run or a set that the study does not have, with the nearest, and for activations that
        are not made yet.
        """
        targets = Targets(self._loaded)
        known, sets = list(self._loaded.runs), list(targets.sets)
        if run not in known:
            allowed, near = listing(known), nearest(run, known)
            raise DataError(Problem(what="no such run", where=self.name, value=run, allowed=allowed, nearest=near))
        if stimuli is None and len(sets) != 1:
            what = "the study has several stimulus sets" if sets else "the study shows no images"
            raise DataError(Problem(what=what, where=self.name, allowed=listing(sets), fix="name one: `stimuli=...`"))
        name = stimuli or sets[0]
        if name not in sets:
            allowed, near = listing(sets), nearest(name, sets)
            what = "no such stimulus set"
            raise DataError(Problem(what=what, where=self.name, value=name, allowed=allowed, nearest=near))
        path = targets.activations(self._loaded.runs[run], targets.sets[name])
        return open_activations(self._made(self._loaded.store.find(path), "activations of this run"))

    @cached_property
    def _loaded(self) -> LoadedStudy:
        """The study with its data looked through: names in the store follow from them."""
        loaded = load_study(self.file)
        folders = self.config.store  # as they were when the study was opened, wherever Python is now
        return LoadedStudy(
            loaded.file, loaded.config.model_copy(update={"store": folders}), loaded.whole, loaded.left_out
        )

    def _state(self, run: str) -> str:
        record = self._loaded.store.find(self._loaded.store.run(run) / RUN_RECORD)
        if failure_in(record.parent):
            return FAILED
        return DONE if record.is_file() else ABSENT

    def _made(self, path: Path, what: str) -> Path:
        if not path.is_file():
            fix = f"run the study: snakemake --config study={self.file}"
            raise DataError(Problem(what=f"the study has no {what} yet", where=str(path), fix=fix))
        return path

    @property
    def _shown(self) -> "pd.DataFrame":
        import pandas as pd

        there = {"score table": self.results.table, "report": self.results.report, "fits": self.results.root / "fits"}
        rows = [[what, str(path) if path.exists() else "not made yet"] for what, path in there.items()]
        return pd.DataFrame(rows, columns=["what", "where"])

    def __repr__(self) -> str:
        return f"Study {self.name}: {self.file}\n{table_text(self._shown)}"

    def _repr_html_(self) -> str:
        return table_html(f"Study {self.name}: {self.file}", self._shown)


def open_study(path: str | Path) -> Study:
    """Open a study by its file, to read what it has made.

    Args:
        path: the study file. As for the command line it may be named as seen from the repository, and the folders
            `results/` and the store are those that it has when it is run from the current folder.

    Returns:
        The study, with its `runs()`, `scores()`, `fits()`, `activations(run)` and the path of its `report`.

    Raises:
        StudyError: with everything that is wrong with the file.
    """
    file = find_file(Path(path)).absolute()
    if not file.is_file():
        near = nearest(file.name, [one.name for one in file.parent.glob("*.yaml")]) if file.parent.is_dir() else ""
        raise StudyError(Problem(what="no such study file", where="open_study()", value=str(path), nearest=near))
    config, document, faults = read_study_parts(file)
    if faults or config is None:
        raise StudyError(document.problems(faults))
    folders = [config.store] if isinstance(config.store, Path) else list(config.store)
    config = config.model_copy(update={"store": [folder.absolute() for folder in folders]})
    return Study(file, config, Results(Path("results").absolute() / config.study))
