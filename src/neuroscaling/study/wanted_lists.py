"""The lists of what a study wants, as jobs of its own files read them.

They do so without the study, which takes longer to load than some of these jobs.
"""

from collections.abc import Sequence
from pathlib import Path

from neuroscaling.core.records import RUN_RECORD, failure_in, read_record
from neuroscaling.study.paths import Store

WANTED = "wanted/1"


def read_wanted(path: str | Path, folders: Sequence[str | Path]) -> list[Path]:
    """Where the things of a list lie in a store of `folders`, but for scores whose layers no failed run could choose.

    Raises DataError for a file that is none.
    """
    store = Store.of([Path(folder) for folder in folders])
    content = read_record(path, WANTED, "start the study again")
    chosen_on: dict[str, str] = content["chosen_on"]
    records = {run: store.find(store.run(run) / RUN_RECORD) for run in set(chosen_on.values())}
    failed = {run for run, record in records.items() if failure_in(record.parent)}
    found = {name: store.find(store.root / name) for name in content["names"]}
    return [path for name, path in found.items() if chosen_on.get(name) not in failed or path.is_file()]
