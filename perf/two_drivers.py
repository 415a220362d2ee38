"""Two drivers of one study on one store, started seconds apart: the matrix of starts, against a single driver.

Each case starts Snakemake in two checkouts on one store. ours: seconds until both have ended; peer: those of a single
driver. `agreement` is the number of files of the store that differ from the single driver's (records but for their
making, all others byte by byte). Beside it: exit statuses, files, how often a job waited for another one's (`waits`),
files that took another one's place (`twice`), and temporary files that are left (`left`). Where tests/slurm can start
its cluster, the cases are run there too.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import quick, report, row
from tests.two_drivers import ARGUMENTS, Outcome, Start, local_driver, race

OFFSETS = (0, 1, 3, 6, 10)


def main() -> None:
    """Run the matrix, print it, and write perf/results/two_drivers.json."""
    offsets = (1,) if quick(__doc__) else OFFSETS
    rows = []
    for where, start in _places(local_alone=len(offsets) == 1):
        for packed in (False, True):
            single = _of([0], packed, start)
            for offset in offsets:
                case = f"{where}, {'packed' if packed else 'unpacked'}, {offset} s apart"
                rows.append(_row(case, _of([0, offset], packed, start), single))
                print(rows[-1], file=sys.stderr, flush=True)
    report("two_drivers", rows)


def _of(offsets: list[float], packed: bool, start: Start) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="neuroscaling-drivers-") as folder:
        return race(Path(folder), offsets, packed, start)


def _row(case: str, both: Outcome, single: Outcome) -> dict:
    differing = both.differing(single)
    line = row(case, both.seconds, single.seconds, len(differing), "s")
    facts = {"exit": both.statuses, "files": len(both.content), "waits": both.waits}
    return line | facts | {"differing": differing, "twice": both.twice, "left": both.left}


def _places(local_alone: bool) -> Iterator[tuple[str, Start]]:
    """Where the drivers send their jobs."""
    yield "local", local_driver
    if local_alone:
        return
    with contextlib.ExitStack() as stack:
        if start := _on_slurm(stack):
            yield "Slurm", start


def _on_slurm(stack: contextlib.ExitStack) -> Start | None:
    """What starts drivers on the cluster of tests/slurm; None where it can't be started."""
    import subprocess

    from tests.slurm.conftest import why_not
    from tests.slurm.lab import HERE, drive

    if reason := why_not():
        print(f"no Slurm: {reason}", file=sys.stderr)
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "neuroscaling-slurm"
    stack.callback(subprocess.run, [HERE / "cluster/stop.sh", folder], timeout=60, check=True)
    subprocess.run([HERE / "cluster/start.sh", folder], check=True, timeout=60)
    return lambda place: drive(place, *ARGUMENTS, snakefile=place / "Snakefile").process


if __name__ == "__main__":
    main()
