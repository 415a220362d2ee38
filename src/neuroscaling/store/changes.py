"""What changed since a study last ended, and what is absent because of it: `neuroscaling status --why`.

Two lists of artefacts are compared, as `study/session.py` writes them. Jobs come from absence alone, so this decides
nothing: it tells which setting or formula gave an artefact another name, and which are absent for another reason.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from neuroscaling.core.errors import listing
from neuroscaling.study.code_fingerprints import SCRIPT, fingerprint_of

GONE = "no change: wanted before; deleted, or not made yet"
FIRST = "asked for the first time"
NEVER = "the study has not ended yet: there is nothing to compare with"
ORDER = ("subsets", "runs", "simulated", "stimuli", "recordings", "activations", "layers", "scores", "fits", "data")
FOLDERS = {"commitments": "layers"}
"""Stages by their folders in the store, where these are called otherwise."""
OF_RUNS = {"start", "reference"}
"""Keys of definitions that hold the name of a run: one for each, so that their values are not told."""
WIDTH = 60


@dataclass(frozen=True)
class Cause:
    """Why something has another name than before: what of its definition changed, from what to what."""

    what: str
    before: str | None = None
    now: str | None = None


@dataclass(frozen=True)
class Change:
    """A cause, and how many artefacts of a stage are absent because of it (None: of what the store does not hold).

    An artefact with several causes counts under each of them.
    """

    stage: str
    cause: Cause
    absent: int | None


def changes_since(before: Mapping[str, Any] | None, now: Mapping[str, Any], absent: Iterable[str]) -> list[Change]:
    """What changed from one list of artefacts to another, by stage; what most is absent for comes first.

    before: as the study last ended; None where it never did. absent: names in the store that `now` has and that are
    not there. Changes are told though nothing is absent because of them: somebody else may have made it.
    """
    counted: Counter[tuple[str, Cause]] = Counter()
    if before is None:
        counted.update((_stage(name), Cause(NEVER)) for name in absent)
        return _sorted(counted)
    comparison = _Comparison(before, now)
    for stage, cause in comparison.changes():
        counted[stage, cause] += 0
    for name in absent:
        counted.update((_stage(name), cause) for cause in comparison.causes(name))
    others = {("fits", cause) for cause in comparison.fits()} | {("packages", cause) for cause in comparison.packages()}
    return [*_sorted(counted), *(Change(stage, cause, None) for stage, cause in sorted(others, key=str))]


@dataclass(frozen=True)
class _Comparison:
    before: Mapping[str, Any]
    now: Mapping[str, Any]
    _known: dict[Any, Any] = field(default_factory=dict)

    def causes(self, name: str) -> list[Cause]:
        """Why what `name` stands for is not there: at least one cause."""
        if name in self._names:
            return [Cause(GONE)]
        folder, *parts = PurePosixPath(name).with_suffix("").parts
        found: list[Cause] = []
        if folder == "runs":
            found = self._of_run(parts[0])
        elif folder == "activations":
            run, stored = parts
            stimuli = stored.rpartition("-")[0]
            found = [*self._from_run(run), *self._of_group("stimuli", stimuli), *self._of_extraction(run)]
        elif folder in ("scores", "commitments"):
            group, run = parts
            found = [*self._from_run(run), *self._of_group(_stage(name), group)]
        elif folder in ("stimuli", "simulated"):
            found = self._of_group(folder, parts[0])
        return found or self._of_name(name)

    def changes(self) -> Iterator[tuple[str, Cause]]:
        """All that changed in definitions, whether anything is absent because of it or not."""
        for run in self.now["runs"]:
            yield from (("runs", cause) for cause in self._of_run(run))
            yield from (("activations", cause) for cause in self._of_extraction(run))
        for stage in ("simulated", "stimuli", "layers", "scores"):
            for group in self.now["stages"].get(stage, {}):
                yield from ((stage, cause) for cause in self._of_group(stage, group))

    def fits(self) -> Iterator[Cause]:
        """What changed of the fits. They are the study's own, and made anew by Snakemake."""
        before = self.before.get("fits", {})
        for name, settings in self.now.get("fits", {}).items():
            if name not in before:
                yield Cause(FIRST)
            elif settings != before[name]:
                yield from self._differences(before[name], settings)

    def packages(self) -> Iterator[Cause]:
        """What was upgraded. It makes nothing anew: no name says it."""
        before, now = (side.get("packages", {}) for side in (self.before, self.now))
        for package in sorted(before.keys() & now.keys()):
            if before[package] != now[package]:
                yield Cause(package, before[package], now[package])

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.before["names"])

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self.now["names"])

    def _from_run(self, run: str) -> list[Cause]:
        """What an artefact of a run has from its run."""
        if run in self.before["runs"]:
            return []
        return [Cause(FIRST if self._of_run(run) == [Cause(FIRST)] else "its run is another one: see runs")]

    def _of_run(self, run: str) -> list[Cause]:
        return self._once(("runs", run), lambda: self._new(run, self.before["runs"], self.now["runs"], "runs"))

    def _of_group(self, stage: str, name: str) -> list[Cause]:
        before, now = (side["stages"].get(stage, {}) for side in (self.before, self.now))
        if name not in now:  # the recordings of a session have images of their own
            return []
        return self._once((stage, name), lambda: self._new(name, before, now, stage))

    def _of_extraction(self, run: str) -> list[Cause]:
        arch = self.now["runs"][run].get("arch") if run in self.now["runs"] else None
        before, now = (side["stages"].get("activations", {}).get(arch) for side in (self.before, self.now))
        if before is None or now is None or before == now:
            return []
        return self._once(("extraction", arch), lambda: list(self._differences(before, now)))

    def _of_name(self, name: str) -> list[Cause]:
        """Of what has no definition in the lists: another one of this kind was wanted, or none."""
        place, readable = name.rpartition("/")[0], _readable(PurePosixPath(name).with_suffix("").name)
        folder = _readable(place)
        for former in self._formers.get((folder, readable), []):
            if former not in self._wanted:
                return [Cause("name", former, name)]
        return [Cause(FIRST)]

    @cached_property
    def _formers(self) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for name in self.before["names"]:
            key = _readable(name.rpartition("/")[0]), _readable(PurePosixPath(name).with_suffix("").name)
            found.setdefault(key, []).append(name)
        return found

    def _new(self, name: str, before: Mapping[str, Any], now: Mapping[str, Any], stage: str) -> list[Cause]:
        """Why there is a name that there was not: what differs from the most similar one of the same readable part."""
        if name in before:
            return []
        known = self._once(("readable", stage), lambda: _by_readable(before))
        alike = known.get(_readable(name), [])
        found = [list(self._differences(before[former], now[name])) for former in alike]
        return min(found, key=len) if found else [Cause(FIRST)]

    def _differences(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Cause]:
        old, new = self._flat(before, self.before), self._flat(now, self.now)
        for key in sorted(old.keys() | new.keys()):
            one, other = old.get(key), new.get(key)
            if one == other:
                continue
            if key == "code":
                yield self._of_code(str(one), str(other))
            elif key in OF_RUNS and one and other:
                yield Cause(f"{key} is another run: see runs")
            else:
                yield Cause(key, _text(one) if key in old else None, _text(other) if key in new else None)

    def _flat(self, definition: Mapping[str, Any], side: Mapping[str, Any]) -> dict[str, Any]:
        recipe = definition.get("recipe")
        if isinstance(recipe, str):  # each recipe is in the list once
            definition = {**definition, "recipe": side.get("recipes", {}).get(recipe, recipe)}
        return dict(_flattened(definition))

    def _of_code(self, before: str, now: str) -> Cause:
        """Which modules changed between two fingerprints."""
        changed = self._once(("code", before, now), lambda: list(self._modules(before, now)))
        return Cause(f"code of {listing(changed, 5)}" if changed else "code", before, now)

    def _modules(self, before: str, now: str) -> Iterator[str]:
        old, new = self.before.get("code", {}), self.now.get("code", {})
        for stage, parts in new.items():
            former = old.get(stage, {})
            if fingerprint_of(parts) == now and fingerprint_of(former) == before:
                names = sorted(former.keys() | parts.keys())
                yield from (stage if n == SCRIPT else n for n in names if former.get(n) != parts.get(n))
                return

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _stage(name: str) -> str:
    folder = name.partition("/")[0]
    return FOLDERS.get(folder, folder)


def _readable(name: str) -> str:
    """A name without the digits of its hash, if it has any."""
    head, dash, key = name.rpartition("-")
    return head if dash and len(key) == 8 and set(key) <= set("0123456789abcdef") else name


def _by_readable(names: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_readable(name), []).append(name)
    return found


def _flattened(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, content in value.items():
        if isinstance(content, Mapping) and content:
            yield from _flattened(content, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", content


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _sorted(counted: Mapping[tuple[str, Cause], int]) -> list[Change]:
    found = [Change(stage, cause, n) for (stage, cause), n in counted.items()]
    place = {stage: i for i, stage in enumerate(ORDER)}
    return sorted(found, key=lambda one: (place.get(one.stage, len(ORDER)), -(one.absent or 0), one.cause.what))
