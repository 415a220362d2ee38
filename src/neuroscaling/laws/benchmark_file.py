"""The file of a study that says what its benchmarks can tell, and how lucky its layers were.

results/<study>/resolution.json        one record, read by the report and by plans
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import Place
from neuroscaling.core.files import DELETE_AND_RERUN
from neuroscaling.core.json_records import from_json
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import CHECKSUM, FORMAT_KEY, read_record, write_record
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.benchmark_resolution import BenchmarkResolution, resolutions
from neuroscaling.laws.decision_accuracy import Agreement, agreements
from neuroscaling.laws.expected_error import ExpectedError, expected_error
from neuroscaling.laws.layer_luck import LayerLuck, layer_luck
from neuroscaling.laws.network_scores import benchmark_scores, largest_mapping

if TYPE_CHECKING:
    import pandas as pd


RESOLUTION_FORMAT = "resolution/1"
PACKAGES = ("numpy", "pandas")


@dataclass(frozen=True)
class BenchmarkFile:
    """What the benchmarks of a score table can tell.

    resolutions: one a benchmark and number of mapping images; errors: expected error of a law, by the place of its
    benchmark in `resolutions`, for the largest number of mapping images; agreements: of predicted and seen decision
    accuracy over all benchmarks; luck: of layers.
    """

    resolutions: list[BenchmarkResolution]
    errors: dict[str, ExpectedError]
    agreements: list[Agreement]
    luck: list[LayerLuck]
    provenance: dict[str, Any] = field(default_factory=dict)

    def error_of(self, place: int) -> ExpectedError | None:
        """The expected error of a law of the benchmark at a place of `resolutions`."""
        return self.errors.get(str(place))


def benchmark_file(table: pd.DataFrame) -> BenchmarkFile:
    """What the benchmarks of a score table can tell. Raises DataError for a table without the columns of networks."""
    benchmarks = [own for own in benchmark_scores(table) if own.cells.xs(own.largest, level="scale").shape[0] > 1]
    most = list(largest_mapping(benchmarks))
    found = resolutions(benchmarks)
    errors = {str(i): error for i, own in enumerate(benchmarks) if own in most and (error := expected_error(own))}
    told = [decision for own in _of(found, [one.key for one in most]) for decision in own.decisions]
    return BenchmarkFile(found, errors, agreements(told), layer_luck(most), provenance(PACKAGES))


def _of(found: Sequence[BenchmarkResolution], keys: Sequence[dict[str, Any]]) -> list[BenchmarkResolution]:
    return [own for own in found if own.key in keys]


def write_benchmark_file(table_path: str | Path, path: str | Path) -> BenchmarkFile:
    """Write the record for the score table at `table_path`."""
    content = benchmark_file(read_table(table_path))
    write_record(path, {**asdict(content), FORMAT_KEY: RESOLUTION_FORMAT})
    return content


def read_benchmark_file(path: str | Path) -> BenchmarkFile:
    """The record at `path`. Raises DataError for another format, an altered file, and keys that it does not have."""
    record = read_record(path, RESOLUTION_FORMAT, DELETE_AND_RERUN)
    content = {key: value for key, value in record.items() if key not in (FORMAT_KEY, CHECKSUM)}
    return from_json(content, BenchmarkFile, Place(path), "a file of what benchmarks can tell", DELETE_AND_RERUN)
