"""What can be wrong with where a study has its V4 recordings from, before anything runs. Light: reads names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.config import Study, V4Data, V4Encoding
from neuroscaling.encoding import v4
from neuroscaling.errors import Problem, listing, nearest


@dataclass(frozen=True)
class _Entry:
    """An entry of the study file that takes V4 sessions. place: where it stands; key: that of its sessions."""

    place: str
    key: str
    folder: Path | None
    sessions: list[str]


def v4_problems(study: Study, where: str) -> Iterator[Problem]:
    """Folders that are missing, empty or more than one, and sessions that the folder lacks.

    A session's images, activations and scores have its name alone, so that all entries take it from one folder: an
    entry without `local_dir` from that of another.
    """
    entries = list(_entries(study, where))
    for i, entry in enumerate(study.encoding):
        if isinstance(entry, V4Encoding) and entry.sessions == "all" and entry.local_dir is None:
            fix = "name the sessions, e.g. sessions: ['190923']"
            yield Problem("`all` needs `local_dir`", f"{where}: encoding[{i}]", fix=fix)
    named = {entry.folder.resolve(): entry for entry in reversed(entries) if entry.folder}
    first = next((entry for entry in entries if entry.folder), None)
    for entry in named.values():
        place = f"{entry.place}.local_dir"
        if first and entry is not first:
            allowed = f"{first.folder}, as in {first.place}"
            fix = "put all sessions into one folder, or make two studies with a store each"
            yield Problem("V4 recordings of one study are in two folders", place, str(entry.folder), allowed, fix=fix)
        elif not entry.folder.is_dir():
            yield Problem("folder is missing", place, str(entry.folder), fix="see docs/data.md")
        elif not v4.sessions(entry.folder):
            yield Problem("no session in this folder", place, str(entry.folder), fix="see docs/data.md")
    found = v4.sessions(first.folder) if first and len(named) == 1 else []
    for entry in entries if found else []:
        for session in entry.sessions:
            if session not in found:
                place = f"{entry.place}.{entry.key}"
                yield Problem("unknown session", place, session, listing(found), nearest(session, found))


def _entries(study: Study, where: str) -> Iterator[_Entry]:
    for i, entry in enumerate(study.encoding):
        if isinstance(entry, V4Encoding):
            # `all` are those that are there.
            sessions = [] if entry.sessions == "all" else list(entry.sessions)
            yield _Entry(f"{where}: encoding[{i}]", "sessions", entry.local_dir, sessions)
    data = study.brainscore.data if study.brainscore else None
    if isinstance(data, V4Data):
        yield _Entry(f"{where}: brainscore.data", "v4", data.local_dir, list(data.v4))
