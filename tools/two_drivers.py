"""Two drivers of one study on one store, started seconds apart: the matrix of starts, against a single driver.

    python tools/two_drivers.py [--quick] [--on local|slurm] [--offsets 0 1 3 6 10]

Each case starts Snakemake in two checkouts on one store. ours: seconds until both have ended; peer: those of a single
driver. `agreement` is the number of files of the store that differ from the single driver's (records but for their
making, all others byte by byte). Beside it: exit statuses, files, how often a job waited for another one's (`waits`),
files that took another one's place (`twice`), and temporary files that are left (`left`). Where tests/slurm can start
its cluster, the cases are run there too.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "perf"))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from common import RESULTS, report, row
from tests.support.processes import LIMIT
from tests.support.two_drivers import ARGUMENTS, Outcome, Start, local_driver, race

OFFSETS = (0, 1, 3, 6, 10)
TOPIC = "two_drivers"


def main() -> None:
    """Run the matrix, or the part that is asked for; perf/results/two_drivers.json is written after each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one start, on this machine")
    parser.add_argument("--on", choices=("local", "slurm"), help="one of the two places")
    parser.add_argument("--offsets", type=float, nargs="+", default=OFFSETS, help="seconds between the two starts")
    asked = parser.parse_args()
    if asked.quick:
        asked.on, asked.offsets = "local", (1,)
    with contextlib.ExitStack() as stack:
        for where, start in _places(asked.on, stack):
            for packed in (False,) if asked.quick else (False, True):
                single = _of([0], packed, start)
                for offset in asked.offsets:
                    case = f"{where}, {'packed' if packed else 'unpacked'}, {offset:g} s apart"
                    _add(_row(case, _of([0, offset], packed, start), single))


def _add(line: dict[str, Any]) -> None:
    """Write a row, in the place of an earlier one of its case; rows of other cases stay."""
    file = RESULTS / f"{TOPIC}.json"
    rows = json.loads(file.read_text())["rows"] if file.is_file() else []
    report(TOPIC, [*(row for row in rows if row["case"] != line["case"]), line])


def _of(offsets: list[float], packed: bool, start: Start) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="neuroscaling-drivers-") as folder:
        return race(Path(folder), offsets, packed, start)


def _row(case: str, both: Outcome, single: Outcome) -> dict[str, Any]:
    differing = both.differing(single)
    line = row(case, both.seconds, single.seconds, len(differing), "s")
    facts = {"exit": both.statuses, "files": len(both.content), "waits": both.waits}
    return line | facts | {"differing": differing, "twice": both.twice, "left": both.left}


def _places(asked: str | None, stack: contextlib.ExitStack) -> Iterator[tuple[str, Start]]:
    """Where the drivers send their jobs."""
    if asked != "slurm":
        yield "local", local_driver
    if asked != "local" and (start := _on_slurm(stack)):
        yield "Slurm", start


def _on_slurm(stack: contextlib.ExitStack) -> Start | None:
    """What starts drivers on the cluster of tests/slurm; None where it can't be started."""
    from tests.slurm.conftest import why_not
    from tests.slurm.lab import HERE, drive

    if reason := why_not():
        print(f"no Slurm: {reason}", file=sys.stderr)
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "neuroscaling-slurm"
    stack.callback(subprocess.run, [HERE / "cluster/stop.sh", folder], timeout=LIMIT, check=True)
    subprocess.run([HERE / "cluster/start.sh", folder], check=True, timeout=LIMIT)
    return lambda place: drive(place, *ARGUMENTS, snakefile=place / "Snakefile").process


if __name__ == "__main__":
    main()
