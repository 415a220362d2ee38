"""The last line of defence of a score table: files of one benchmark agree in every setting that a study asks for once.

Names, records and checksums keep another setting's file from standing under a name; this is in case they don't.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.names import key_of
from neuroscaling.core.records import DEFINITION
from neuroscaling.errors import Problem, listing

FREE = ("layers", "readout", "reference", "activations.layers")
"""Settings of an architecture: they differ between the runs of one benchmark."""
SHARED = ("protocol", "engine", "code")
"""Settings that all benchmarks of a stage share."""
STAGES = {"defined": "Brain-Score", "entry": "fMRI", "session": "V4"}
"""What the stages' definitions are told by."""
FIX = "list the score files of one study alone; what asks for another setting has another name"
Scores = Sequence[tuple[Path, Mapping[str, Any]]]


def setting_problems(scores: Scores) -> Iterator[Problem]:
    """Settings in which score files of one table differ, naming two files and both settings; and see `asked_problems`.

    scores: each file's path `<benchmark>-<key>/<run>.json` and content. Files of one benchmark on the same data agree
    in all that determines them but FREE; files of one stage in SHARED; all files in their protocol.
    """
    for path, content in scores:
        yield from asked_problems(path, content)
    by_benchmark: dict[str, dict[str, Any]] = {}
    by_stage: dict[str, dict[str, Any]] = {}
    told: set[str] = set()
    for path, content in scores:
        settings = _flat(content[DEFINITION])
        own = {key: value for key, value in settings.items() if not _is_free(key)}
        name = f"{_readable(path, content)} on {content.get('data')}"
        yield from _compared(by_benchmark, name, own, path, told)
        stage = next((stage for key, stage in STAGES.items() if key in content[DEFINITION]), "this stage")
        shared = {key: value for key, value in settings.items() if key in SHARED}
        yield from _compared(by_stage, stage, shared, path, told)
        protocol = {key: value for key, value in shared.items() if key == "protocol"}
        yield from _compared(by_stage, "all scores", protocol, path, told)


def asked_problems(path: Path, content: Mapping[str, Any]) -> Iterator[Problem]:
    """Where a score file says another protocol, engine or number of mapping images than it was asked for."""
    asked = content[DEFINITION]
    entry = asked.get("entry") or {}
    engine = asked.get("engine") or (entry.get("ridge") or {}).get("engine")
    for key, wanted in (("protocol", asked.get("protocol")), ("engine", engine)):
        if wanted is not None and content.get(key) != wanted:
            what = f"scores of another {key} than was asked for"
            yield Problem(what, f"{path}: {key}", content.get(key), wanted, fix="delete the file and run again")
    samples = asked.get("samples") or entry.get("samples")
    if samples:
        found = {row["n_mapping"] for row in content["rows"] if row.get("n_mapping") is not None}
        other = sorted(found - set(samples))
        if "all" in samples and found:  # whatever number that is, it is the largest
            other = [n for n in other if n != max(found)]
        if other:
            what, allowed = "scores of numbers of mapping images that were not asked for", listing(samples)
            where, fix = f"{path}: n_mapping", "delete the file and run again"
            yield Problem(what, where, listing(other), allowed, fix=fix)


def _compared(
    groups: dict[str, dict[str, Any]], name: str, settings: dict[str, Any], path: Path, told: set[str]
) -> Iterator[Problem]:
    """A problem for each setting that differs from the first file's of its group, told once."""
    first = groups.setdefault(name, {"path": path, "settings": settings})
    for key in sorted({*settings, *first["settings"]}):
        known, own = first["settings"].get(key), settings.get(key)
        label = key if key in SHARED else f"{name}: {key}"
        if known != own and label not in told:
            told.add(label)
            what = "scores of two settings in one table"
            allowed = f"{known!r}, as {name} in {first['path']}"
            yield Problem(what, f"{path}: {key}", repr(own), allowed, fix=FIX)


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by their keys with dots: {"activations.reduction": ...}; a FREE one stays whole."""
    found: dict[str, Any] = {}
    for key, own in value.items():
        if isinstance(own, Mapping) and own and not _is_free(before + key):
            found |= _flat(own, f"{before}{key}.")
        else:
            found[before + key] = own
    return found


def _is_free(key: str) -> bool:
    return key in FREE


def _readable(path: Path, content: Mapping[str, Any]) -> str:
    """The benchmark that the folder of a score file is named after."""
    return path.parent.name.removesuffix(f"-{key_of(content[DEFINITION])}")
