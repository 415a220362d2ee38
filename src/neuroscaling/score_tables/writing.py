"""A table of scores of one's own is checked and written as the score table of a study.

Both go through the rows once, block by block, so that memory does not grow with the table but for 16 bytes a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.score_table import COLUMNS, KEY_ATTRIBUTE, mixed_scales
from neuroscaling.score_tables.mapping import TableMapping, header_problems
from neuroscaling.score_tables.reading import header_of, row_names
from neuroscaling.score_tables.rows import Findings, Plan, ScoreRows, ceiling_scales, planned, score_rows

if TYPE_CHECKING:
    import pyarrow as pa


SHOWN_PAIRS = 3
AGAIN = "start the study again"


@dataclass(frozen=True)
class TableFacts:
    """What a table holds: rows, rows without a score, and the columns that tell rows apart."""

    rows: int
    empty: int
    key: tuple[str, ...]


def write_own_table(
    target: str | Path, files: Sequence[Path], mapping: TableMapping, data: str, sha256: Sequence[str]
) -> TableFacts:
    """Write the score table (parquet) that `mapping` makes of a user's tables.

    files: CSV, TSV or parquet, their rows one after the other; data: what the rows' `data` is where no column gives it;
    sha256: of each file when the study was started. The rows keep their order. Raises DataError with everything that is
    wrong: a file that has changed since, a column that is missing, cells that are no numbers or infinite, correlations
    beyond 1, unknown scales, two scales with a ceiling, and rows that stand there twice.
    """
    import pyarrow.parquet

    _require_same(files, sha256)
    _require_columns(mapping, files)
    plan = planned(mapping, files, data)
    schema = _schema(plan)
    with atomic_path(target) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
        return _gone_through(plan, lambda block: writer.write_batch(block.cast(schema)))


def check_own_table(files: Sequence[Path], mapping: TableMapping, data: str) -> TableFacts:
    """The same without writing. Raises DataError as `write_own_table`."""
    _require_columns(mapping, files)
    return _gone_through(planned(mapping, files, data), lambda block: None)


def _gone_through(plan: Plan, use: Callable[[pa.RecordBatch], None]) -> TableFacts:
    findings, seen = Findings(), _Seen(plan.key)
    ceilings: dict[tuple[str, str], dict[str, Path]] = {}
    rows = empty = 0
    for part in score_rows(plan, findings):
        for data, metric, scale in ceiling_scales(part.block):
            ceilings.setdefault((data, metric), {}).setdefault(scale, part.file)
        seen.add(part)
        rows, empty = rows + part.block.num_rows, empty + part.block.column("score").null_count
        use(part.block)
    problems = [*findings.problems(), *mixed_scales(ceilings), *seen.problems()]
    if not rows:
        fix = "look at `scores: {filters: ...}`" if plan.mapping.filters else "name a table with rows"
        problems.append(Problem(what="no row is left", where=listing(list(map(str, plan.headers))), fix=fix))
    if problems:
        raise DataError(problems)
    return TableFacts(rows, empty, plan.key)


class _Seen:
    """The rows so far, by a hash of what tells them apart: 64 bits, so that two of a million differ almost surely."""

    def __init__(self, key: tuple[str, ...]):
        self.key = key
        self._files: list[Path] = []
        self._hashes: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []

    def add(self, part: ScoreRows) -> None:
        """Remember the rows of a block."""
        import pandas as pd

        frame = part.block.select(list(self.key)).to_pandas()
        self._files.append(part.file)
        self._hashes.append(pd.util.hash_pandas_object(frame, index=False).to_numpy())
        self._rows.append(part.rows)

    def problems(self) -> list[Problem]:
        """The rows that are there more than once, each pair with its lines."""
        hashes = np.concatenate([*self._hashes, np.empty(0, np.uint64)])
        order = np.argsort(hashes, kind="stable")
        again = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        if not again.size:
            return []
        shown = [f"{self._name(int(order[i]))} and {self._name(int(order[i + 1]))}" for i in again[:SHOWN_PAIRS]]
        rest = f" ... and {again.size - SHOWN_PAIRS:,} more" if again.size > SHOWN_PAIRS else ""
        what = f"rows that stand in the table twice: {again.size:,}"
        fix = "keep one of each, or name the columns that tell rows apart: `scores: {key: [...]}`"
        allowed = f"each combination of {listing(list(self.key), 40)} once"
        return [Problem(what=what, where="scores", value="; ".join(shown) + rest, allowed=allowed, fix=fix)]

    def _name(self, place: int) -> str:
        ends = np.cumsum([len(rows) for rows in self._rows])
        block = int(np.searchsorted(ends, place, side="right"))
        row = int(self._rows[block][place - (ends[block] - len(self._rows[block]))])
        return f"{self._files[block]}: {row_names(self._files[block], {row}).get(row, f'row {row + 1}')}"


def _require_same(files: Sequence[Path], sha256: Sequence[str]) -> None:
    """Raise DataError for files that are not what the study was started with."""
    what = "the table has changed since the study was started"
    changed = [file for file, digest in zip(files, sha256, strict=True) if file_sha256(file) != digest]
    if changed:
        raise DataError([Problem(what=what, where=str(file), fix=AGAIN) for file in changed])


def _require_columns(mapping: TableMapping, files: Iterable[Path]) -> None:
    problems = [problem for file in files for _, problem in header_problems(mapping, header_of(file), str(file))]
    if problems:
        raise DataError(problems)


def _schema(plan: Plan) -> pa.Schema:
    """The columns as pandas reads them back, and in the file's attributes what tells its rows apart."""
    import pandas as pd
    import pyarrow as pa

    kinds = {name: "boolean" if kind == "bool" and name not in COLUMNS else kind for name, kind in plan.kinds.items()}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    empty.attrs[KEY_ATTRIBUTE] = list(plan.key)
    return pa.Schema.from_pandas(empty, preserve_index=False)
