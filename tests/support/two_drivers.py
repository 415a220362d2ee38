"""Two people who start one study at the same time in two checkouts on one store: what came of it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import LIMIT
from tests.workflow.conftest import SMALL, TABLE, make_workdir

ARGUMENTS = ["--config", "study=small.yaml", "--", TABLE]
PATIENCE = LIMIT
GROUP = 54320
STUDY = {
    **{key: SMALL[key] for key in ("study", "datasets", "reduction", "simulated", "brainscore", "fits")},
    "runs": [{**SMALL["runs"][0], "samples_per_class": [1]}, SMALL["runs"][1]],
}
PACKED = {"runs_per_job": 2, "training": {"runs_per_job": 2}}
Start = Callable[[Path], subprocess.Popen]
"""Starts a driver in a checkout; what it prints goes to `driver.txt` there, or where its caller put it."""


@dataclass(frozen=True)
class Outcome:
    """What two drivers left: exit statuses, seconds until both had ended, and files of the store by name.

    waits: how often a job waited for another one's; twice: files that took another one's place; left: temporary files
    and leases; content: what the files say (see `content_of`).
    """

    statuses: list[int]
    seconds: float
    waits: int
    twice: list[str]
    left: list[str]
    content: dict[str, Any]

    def differing(self, other: "Outcome") -> list[str]:
        """Files that are not in both, or not the same."""
        names = self.content.keys() | other.content.keys()
        return sorted(name for name in names if self.content.get(name) != other.content.get(name))


def race(folder: Path, offsets: list[float], packed: bool, start: Start) -> Outcome:
    """Start a driver after each of `offsets` (seconds), each in a checkout of its own below `folder`, on one store."""
    store = folder / "store"
    places = [checkout(folder / f"person-{number}", store, packed) for number, _ in enumerate(offsets)]
    began, drivers, seen = time.monotonic(), [], {}
    with contextlib.ExitStack() as stack:
        while len(drivers) < len(places) or any(driver.poll() is None for driver in drivers):
            if len(drivers) < len(places) and time.monotonic() - began >= offsets[len(drivers)]:
                drivers.append(start(places[len(drivers)]))
                stack.callback(_end, drivers[-1])
            _look(store, seen)
            time.sleep(0.1)
            assert time.monotonic() - began < PATIENCE, "the drivers come to no end"
    seconds = time.monotonic() - began
    _look(store, seen)
    names = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    return Outcome(
        [driver.returncode for driver in drivers],
        seconds,
        sum(log.read_text(errors="replace").count("core.leases: waiting for") for log in _logs(folder)),
        sorted(name for name, identities in seen.items() if len(identities) > 1),
        sorted(name for name in names if name.endswith((".partial", ".lock", ".stale", ".old"))),
        {name: content_of(path) for name, path in names.items() if not _is_hidden(name)},
    )


def checkout(folder: Path, store: Path, packed: bool) -> Path:
    """A checkout in `folder` with the study, on the store `store`."""
    workdir = make_workdir(folder)
    study = {**STUDY, **(PACKED if packed else {}), "store": str(store)}
    (folder / "small.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return workdir.path


def local_driver(folder: Path) -> subprocess.Popen:
    """Snakemake on this machine, one job at a time."""
    return _started(folder, [])


def driver_of_another_user(folder: Path) -> subprocess.Popen:
    """The same as another user of the group GROUP for each folder, whose umask is 022. For root, with setpriv."""
    user = GROUP + 1 + int(folder.name.rpartition("-")[2])
    home = folder / "home"
    home.mkdir()
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, user, GROUP, follow_symlinks=False)
    # The interpreter may lie where only root can read: it may read anything, and write what is the user's or group's.
    before = ["setpriv", f"--reuid={user}", f"--regid={GROUP}", "--clear-groups"]
    before += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    before += ["sh", "-c", 'umask 022; exec "$@"', "sh"]
    return _started(folder, before, HOME=str(home), XDG_CACHE_HOME=str(home / ".cache"), USER=f"user{user}")


def _started(folder: Path, before: list[str], **variables: str) -> subprocess.Popen:
    command = [*before, sys.executable, "-m", "snakemake", "--cores", "1", *ARGUMENTS]
    environment = {key: value for key, value in os.environ.items() if key not in ("NEUROSCALING_STORE", "PYTHONPATH")}
    environment.setdefault("NEUROSCALING_BRAINSCORE_PYTHON", str(Path(sys.prefix).parent / "brainscore/bin/python"))
    environment |= {"OMP_NUM_THREADS": "1"} | variables
    with open(folder / "driver.txt", "w") as output:
        return subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )


def content_of(path: Path) -> Any:
    """What a file says: its bytes; of a record everything but its making.

    The making is in the records' own checksums too, and in those of records that others were made from.
    """
    if path.suffix != ".json":
        return path.read_bytes()
    content = json.loads(path.read_text())
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key not in ("provenance", "checksum")}
        made_from = content.get("made_from", {})
        content["made_from"] = {name: sum for name, sum in made_from.items() if not name.endswith(".json")}
    return content


def _look(store: Path, seen: dict[str, set[tuple[int, int]]]) -> None:
    """Note which file is at each name: another one later has taken its place."""
    for folder, folders, files in os.walk(store):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "state"]
        for name in files:
            path = Path(folder) / name
            with contextlib.suppress(OSError):
                state = path.stat()
                if not name.startswith("."):
                    seen.setdefault(path.relative_to(store).as_posix(), set()).add((state.st_ino, state.st_mtime_ns))


def _logs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("person-*/logs/**/*.log") if path.is_file()]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _end(driver: subprocess.Popen) -> None:
    if driver.poll() is None:
        os.killpg(driver.pid, 9)
        driver.wait()
