"""What can be wrong with where a study has its V4 recordings from, before anything runs. Light: reads names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.config import Study, V4Data, V4Encoding
from neuroscaling.document import shown
from neuroscaling.encoding import v4
from neuroscaling.errors import Fault, Location, Problem, listing, nearest


@dataclass(frozen=True)
class _Entry:
    """An entry of the study file that takes V4 sessions. place: where it stands; key: that of its sessions."""

    place: Location
    key: str
    folder: Path | None
    sessions: list[str]


def v4_faults(study: Study) -> Iterator[Fault]:
    """Folders that are missing, empty or more than one, and sessions that the folder lacks.

    A session's images, activations and scores have its name alone, so that all entries take it from one folder: an
    entry without `local_dir` from that of another.
    """
    entries = list(_entries(study))
    for i, entry in enumerate(study.encoding):
        if isinstance(entry, V4Encoding) and entry.sessions == "all" and entry.local_dir is None:
            fix = "name the sessions, e.g. sessions: ['190923']"
            yield Fault(("encoding", i, "sessions"), Problem("`all` needs `local_dir`", fix=fix))
    named = {entry.folder.resolve(): entry for entry in reversed(entries) if entry.folder}
    first = next((entry for entry in entries if entry.folder), None)
    for entry in named.values():
        place, folder = (*entry.place, "local_dir"), str(entry.folder)
        if first and entry is not first:
            allowed = f"{first.folder}, as in {shown(first.place)}"
            fix = "put all sessions into one folder, or make two studies with a store each"
            what = "V4 recordings of one study are in two folders"
            yield Fault(place, Problem(what, "", folder, allowed, fix=fix))
        elif not entry.folder.is_dir():
            yield Fault(place, Problem("folder is missing", "", folder, fix="see docs/data.md"))
        elif not v4.sessions(entry.folder):
            yield Fault(place, Problem("no session in this folder", "", folder, fix="see docs/data.md"))
    found = v4.sessions(first.folder) if first and len(named) == 1 else []
    for entry in entries if found else []:
        for i, session in enumerate(entry.sessions):
            if session not in found:
                problem = Problem("unknown session", "", session, listing(found), nearest(session, found))
                yield Fault((*entry.place, entry.key, i), problem)


def _entries(study: Study) -> Iterator[_Entry]:
    for i, entry in enumerate(study.encoding):
        if isinstance(entry, V4Encoding):
            # `all` are those that are there.
            sessions = [] if entry.sessions == "all" else list(entry.sessions)
            yield _Entry(("encoding", i), "sessions", entry.local_dir, sessions)
    data = study.brainscore.data if study.brainscore else None
    if isinstance(data, V4Data):
        yield _Entry(("brainscore", "data"), "v4", data.local_dir, list(data.v4))
