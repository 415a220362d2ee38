"""A table of 2.39 million scores of one's own, as the successor of the published study has: its table and its laws.

The rows are MADE UP, of the successor's shape: networks, layers, subjects and regions, one measure a row. Ours is
what a study does; the peer is what one does without it: pandas reads the whole file. Rows of the table: CPU seconds to
check and write the score table (peer: read, rename and write with pandas, no check), and the largest memory of a
process that does it. Of CSV a tenth of the rows. Rows of a law: CPU seconds to read its rows and select its points
(peer: of the whole table), and to fit a law to a cell with 1,000 bootstraps (peer: the goal of one second).
`agreement` is the largest difference of the points, 0 where there is nothing to compare.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from common import cpu_seconds, quick, report, row

from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.score_table import read_score_table
from neuroscaling.laws.points import select_points
from neuroscaling.laws.row_reading import read_rows
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.score_tables.mapping import Source, TableMapping
from neuroscaling.score_tables.writing import write_own_table
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from neuroscaling.study.sections.fits import Fit

ROWS, QUICK_ROWS = 2_390_000, 120_000
NETWORKS = 600
REGIONS = ("V1", "V2", "V4", "IT", "LOC", "FFA", "PPA", "EBA")
BENCHMARKS = ("FreemanZiemba", "MajajHong", "TVSD", "THINGS-fMRI", "NSD", "THINGS-MEG", "THINGS-EEG1", "THINGS-EEG2")
CELL = {"benchmark": "FreemanZiemba", "region": "IT", "layer": "layer3", "subject": "subject0"}
MAPPING = TableMapping(
    {
        "run": Source("model_id"),
        "benchmark": Source("benchmark_name"),
        "layer": Source("layer_name"),
        "region": Source("roi"),
        "score": Source("pearsonr_nc"),
        "scale": Source(value="r/c"),
        "simulated": Source(value=True),
    },
    key=("run", "benchmark", "layer", "subject", "region", "repeat"),
)
CALL = """
import json, resource, sys, time
from pathlib import Path
sys.path.insert(0, {perf!r})
import score_tables
start = time.process_time()
score_tables.{call}(Path({file!r}), Path({target!r}))
seconds = time.process_time() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def blocks(n: int) -> Iterator[pd.DataFrame]:
    """Made-up scores: every region, subject and layer of NETWORKS networks on a benchmark, until there are n rows."""
    rng, sizes = np.random.default_rng(0), np.geomspace(1e6, 1e9, NETWORKS)
    places = pd.MultiIndex.from_product(
        [REGIONS, [f"subject{i}" for i in range(3)], [f"layer{i}" for i in range(6)], range(NETWORKS)]
    )
    region, subject, layer, network = (places.get_level_values(i).to_numpy() for i in range(4))
    for i in range(-(-n // len(places))):
        score = 0.8 - 3.0 * sizes[network] ** -0.2 + 0.02 * rng.standard_normal(len(places))
        block = pd.DataFrame({
            "benchmark_name": BENCHMARKS[i % len(BENCHMARKS)], "model_id": np.char.add("network", network.astype(str)),
            "layer_name": layer, "subject": subject, "roi": region, "cv_score": score**2, "pearsonr_nc": score,
            "rsa": score / 2, "cka": score / 3, "data_pct": 100.0, "lora_rank": 8, "exp_type": "pretraining",
            "n_params": sizes[network], "repeat": i // len(BENCHMARKS),
        })  # fmt: skip
        yield block[: n - i * len(places)]


def write(file: Path, n: int) -> None:
    """The table as parquet, or as CSV by its ending."""
    if file.suffix == ".csv":
        pd.concat(blocks(n)).to_csv(file, index=False)
        return
    writer = None
    for block in blocks(n):
        table = pa.Table.from_pandas(block, preserve_index=False)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def ours(file: Path, target: Path) -> None:
    """The score table, checked and written."""
    write_own_table(target, [file], MAPPING, "made-up", [file_sha256(file)])


def with_pandas(file: Path, target: Path) -> None:
    """The same columns by pandas, without a check."""
    frame = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    names = {source.column: name for name, source in MAPPING.columns.items() if source.column}
    frame.rename(columns=names).assign(scale="r/c", simulated=True).to_parquet(target, index=False)


def measured(call: str, file: Path, target: Path) -> list[float]:
    """CPU seconds, and the largest memory in MB, of a process that makes the table."""
    code = CALL.format(perf=str(Path(__file__).parent), call=call, file=str(file), target=str(target))
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return [float(value) for value in json.loads(found)]


def of_a_law(table: Path, bootstraps: int) -> list[dict[str, Any]]:
    """Rows of one cell, and its law."""
    fit = Fit(name="cell", form="power_law", x="n_params", filters=CELL | {"repeat": 0}, bootstraps=bootstraps)
    (job,) = expand_fits(FitFile(fits=[fit]))
    asked, read = cpu_seconds(lambda: select_points(read_rows(table, job.settings).scores, job.settings))
    whole, everything = cpu_seconds(lambda: select_points(read_score_table(table).scores, job.settings))
    difference = float(np.abs(asked_y(read) - asked_y(everything)).max())
    scores = read_rows(table, job.settings).scores
    fit_table(scores[:20], job.settings)  # libraries are loaded once
    seconds, (content, _) = cpu_seconds(lambda: fit_table(scores, job.settings))
    assert content["status"] == "fitted", content
    return [
        row(f"read one cell ({content['n']})", asked, whole, difference),
        row(f"fit it, {bootstraps} bootstraps", seconds, 1.0, 0.0),
    ]


def asked_y(selection: Any) -> np.ndarray:
    """The scores of a selection, ordered by the networks' sizes."""
    return selection.y[np.argsort(selection.x)]


def main() -> None:
    """Print the comparison and write perf/results/score_tables.json."""
    small = quick(__doc__)
    n = QUICK_ROWS if small else ROWS
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for suffix, count in ((".csv", n // 10), (".parquet", n)):
            file = place / f"made-up{suffix}"
            write(file, count)
            seconds, megabytes = measured("ours", file, place / "scores.parquet")
            peer_seconds, peer_megabytes = measured("with_pandas", file, place / "pandas.parquet")
            rows.append(row(f"{suffix[1:]}, {count:,} rows", seconds, peer_seconds, 0.0))
            rows.append(row(f"memory, {suffix[1:]}", megabytes, peer_megabytes, 0.0, "MB"))
        rows += of_a_law(place / "scores.parquet", 1000)
    report("score_tables", rows)


if __name__ == "__main__":
    main()
