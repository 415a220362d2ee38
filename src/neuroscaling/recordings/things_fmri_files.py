"""The tables of a subject of THINGS-fMRI, opened with their checks: responses, trials and voxels belong together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import reading
from neuroscaling.recordings.pandas_hdf5 import REWRITE, Block, opened_frame
from neuroscaling.stimuli.things_images import Trials, read_fmri_trials
from neuroscaling.study.things_tree import FMRI_COLUMNS, SIDED_AREAS, SIDES, THINGS_FIX, Person

T = TypeVar("T")
VOXEL_ID, TEST_CEILING, TRIAL_CEILING = "voxel_id", "nc_testset", "nc_singletrial"
PLAIN_COLUMNS = (VOXEL_ID, TEST_CEILING, TRIAL_CEILING)


@dataclass(frozen=True)
class Voxels:
    """A row a voxel (V,). ids; test_ceiling and trial_ceiling in 0..1: of averages over the repetitions of the test
    images, and of single trials; regions: boolean by name, both sides of an area taken together (FFA of lFFA and rFFA);
    columns: names of all columns, of which further ones are regions where they are asked for."""

    ids: np.ndarray
    test_ceiling: np.ndarray
    trial_ceiling: np.ndarray
    regions: dict[str, np.ndarray]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """trials: what the columns of the responses are; voxels: what their rows are; responses: on the disk; order:
    column of each trial."""

    trials: Trials
    voxels: Voxels
    responses: Block
    order: np.ndarray

    def read(self, start: int, stop: int) -> np.ndarray:
        """Responses of the voxels `start` to `stop`, (stop - start, trials) float64."""
        return np.asarray(self.responses.read(start, stop)[:, self.order], np.float64)


@contextmanager
def opened_subject(person: Person, further: Sequence[str] = ()) -> Iterator[Subject]:
    """The tables of a subject while the block runs; further: columns that are regions too, where there are such.

    Raises DataError with everything that is wrong with the files, as far as headers and tables tell it.
    """
    problems: list[Problem] = []
    trials = _attempt(problems, lambda: read_fmri_trials(person))
    voxels = _attempt(problems, lambda: read_voxels(person, further))
    problems += trial_problems(person, trials) if trials else []
    problems += voxel_problems(person, voxels) if voxels else []
    with ExitStack() as stack:
        blocks = _attempt(problems, lambda: stack.enter_context(opened_frame(person.responses, THINGS_FIX)))
        if blocks is None or trials is None or voxels is None:
            raise DataError(problems)
        responses, order, found = _responses(person, blocks, len(trials.kinds), voxels.ids)
        if problems := [*problems, *found]:
            raise DataError(problems)
        yield Subject(trials, voxels, responses, order)


def _attempt(problems: list[Problem], read: Callable[[], T]) -> T | None:
    """What `read` returns; None where it raises DataError, whose problems are added to `problems`."""
    try:
        return read()
    except DataError as error:
        problems += error.problems
        return None


def read_voxels(person: Person, further: Sequence[str] = ()) -> Voxels:
    """The table of voxels; further: columns that are regions too, where there are such.

    Raises DataError for columns that it lacks, and for cells that are no numbers.
    """
    import pyarrow.csv

    file = person.voxels
    with reading(file, "a table", THINGS_FIX), open(file, encoding="utf-8-sig") as opened:
        names = [name.strip().strip('"') for name in opened.readline().split(",")]
    problems = [
        Problem(
            what="column is missing",
            where=f"{file}: line 1",
            allowed=name,
            nearest=nearest(name, names),
            fix=THINGS_FIX,
        )
        for name in PLAIN_COLUMNS
        if name not in names
    ]
    if problems:
        raise DataError(problems)
    masks = [name for name in dict.fromkeys((*FMRI_COLUMNS, *further)) if name in names and name not in PLAIN_COLUMNS]
    wanted = [*PLAIN_COLUMNS, *masks]
    with reading(file, "a table of numbers", THINGS_FIX):
        convert = pyarrow.csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, "float64"))
        table = pyarrow.csv.read_csv(file, convert_options=convert)
        columns = {name: table[name].to_numpy().astype(np.float64) for name in wanted}
    regions = {name: columns[name] for name in masks}
    if odd := [name for name, values in regions.items() if not np.isin(values, (0, 1)).all()]:
        what, allowed = "a region whose column isn't 0 or 1", "0: outside, 1: inside"
        first = {name: float(regions[name][~np.isin(regions[name], (0, 1))][0]) for name in odd}
        raise DataError(
            [Problem(what=what, where=f"{file}: {n}", value=value, allowed=allowed) for n, value in first.items()]
        )
    return Voxels(
        ids=columns[VOXEL_ID],
        test_ceiling=columns[TEST_CEILING] / 100,
        trial_ceiling=columns[TRIAL_CEILING] / 100,
        regions=_merged({name: values == 1 for name, values in regions.items()}),
        columns=tuple(names),
    )


def trial_problems(person: Person, trials: Trials) -> list[Problem]:
    """Splits without a trial, images of both splits, test images that were shown unequally often."""
    problems, where = [], str(person.images)
    training, test = ([trials.stimulus_ids[i] for i in trials.of(kind)] for kind in ("train", "test"))
    if not training or not test:
        kinds = listing(sorted(set(trials.kinds)))
        what, allowed = "no trial of one of the splits", "`train` and `test` among trial_type"
        problems.append(Problem(what=what, where=where, value=kinds, allowed=allowed, fix=THINGS_FIX))
    if both := sorted(set(training) & set(test)):
        what = f"{len(both)} test images are training images too"
        problems.append(Problem(what=what, where=where, value=listing(both, 5), fix=THINGS_FIX))
    counts = np.unique(np.unique(test, return_counts=True)[1]) if test else np.empty(0, int)
    if len(counts) > 1:
        what = "test images were shown unequally often: trials are missing"
        problems.append(Problem(what=what, where=where, value=listing(counts.tolist()), fix=THINGS_FIX))
    return problems


def voxel_problems(person: Person, voxels: Voxels) -> list[Problem]:
    """Ids that don't count, ceilings that aren't per cent."""
    problems = []
    if not np.array_equal(voxels.ids, np.arange(len(voxels.ids))):
        where = f"{person.voxels}: {VOXEL_ID}"
        problems.append(_count_problem("voxel_id doesn't count voxels from 0", where, voxels.ids))
    for name, values in ((TEST_CEILING, voxels.test_ceiling), (TRIAL_CEILING, voxels.trial_ceiling)):
        known = 100 * values[np.isfinite(values)]
        low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
        if low < 0 or high > 100 or high <= 1:
            what = "noise ceilings that aren't per cent"
            value, allowed = f"{low:.4g} to {high:.4g}", "0 to 100, and above 1 somewhere"
            problems.append(Problem(what=what, where=f"{person.voxels}: {name}", value=value, allowed=allowed))
    return problems


def _responses(
    person: Person, blocks: Sequence[Block], n_trials: int, voxel_ids: np.ndarray
) -> tuple[Block, np.ndarray, list[Problem]]:
    """The block of the responses, the column in it of each trial, and what is wrong with them."""
    block = max(blocks, key=lambda one: one.width)
    single = next((one for one in blocks if one.width == 1 and one is not block), None)
    ids, order = _split(block, single, n_trials)
    problems = list(_row_problems(person, block, ids, voxel_ids))
    if order is None:
        what, allowed = "another number of trials than the table of trials", f"{n_trials}, as in {person.images}"
        problems.append(_response_problem(person, what, block.width - (single is None), allowed))
    elif not np.array_equal(np.sort(order[1]), np.arange(n_trials)):
        problems.append(_count_problem("columns don't count trials from 0", str(person.responses), order[1]))
    columns = np.arange(n_trials) if order is None else order[0][np.argsort(order[1], kind="stable")]
    return block, columns, problems


def _row_problems(person: Person, block: Block, ids: np.ndarray | None, voxel_ids: np.ndarray) -> Iterator[Problem]:
    """Rows that aren't those of the table of voxels; whole numbers in place of responses."""
    if block.rows != len(voxel_ids):
        what, allowed = "another number of voxels than the table of voxels", f"{len(voxel_ids)}, as in {person.voxels}"
        yield _response_problem(person, what, block.rows, allowed)
    elif ids is not None and not np.array_equal(ids, voxel_ids):
        what = "voxel_id isn't that of the table of voxels: rows are in another order, or another subject's"
        row = int(np.flatnonzero(ids != voxel_ids)[0])
        yield _response_problem(person, what, f"row {row + 1}: {ids[row]:g}", f"{voxel_ids[row]:g}, as in the table")
    if block.kind != "f":
        yield Problem(what="responses are whole numbers", where=str(person.responses), value=block.kind, fix=REWRITE)


def _response_problem(person: Person, what: str, value: object, allowed: str) -> Problem:
    fix = "copy or download both again"
    return Problem(what=what, where=str(person.responses), value=value, allowed=allowed, fix=fix)


def _split(
    block: Block, single: Block | None, n_trials: int
) -> tuple[np.ndarray | None, tuple[np.ndarray, np.ndarray] | None]:
    """Voxel ids, where they are among the columns, and (columns, number of the trial in each); None where the numbers
    of columns don't fit. A frame has voxel_id first; its type tells it apart unless it is one of the numbers."""
    columns = np.arange(block.width)
    of_ids = None
    if single is None and block.width == n_trials + 1:
        names = block.names or ()
        of_ids = names.index(VOXEL_ID) if VOXEL_ID in names else 0
        columns = np.delete(columns, of_ids)
    if len(columns) != n_trials:
        return None, None
    source, column = (single, 0) if of_ids is None else (block, of_ids)
    ids = None if source is None else source.column(column).astype(np.float64)
    labels = [block.names[i] for i in columns] if block.names else []
    numbers = np.array([int(label) for label in labels]) if labels and all(map(str.isdigit, labels)) else None
    return ids, (columns, np.arange(n_trials) if numbers is None else numbers)


def _count_problem(what: str, where: str, numbers: np.ndarray) -> Problem:
    low, high = (f"{value:g}" for value in (numbers.min(), numbers.max())) if len(numbers) else ("-", "-")
    allowed = f"0 to {len(numbers) - 1}, each once"
    return Problem(what=what, where=where, value=f"{low} to {high}", allowed=allowed, fix=THINGS_FIX)


def _merged(regions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Both sides of an area as one region, in the order of the columns."""
    merged: dict[str, np.ndarray] = {}
    for name, mask in regions.items():
        area = name[1:] if name[:1] in SIDES and name[1:] in SIDED_AREAS else name
        merged[area] = merged.get(area, np.zeros(len(mask), bool)) | mask
    return merged
