"""Names in a study file that stand for nothing: architectures, data sets, recipes, benchmarks, regions, brains, fits.

Looked for in what the file says, before it is a `Study`: names are checked even where other values are faulty. Light.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroscaling.brainscore import ids
from neuroscaling.document import Document
from neuroscaling.encoding import rois
from neuroscaling.errors import Fault, Location, NeuroscalingError, Problem, listing, nearest
from neuroscaling.hashing import file_sha256
from neuroscaling.models import names
from neuroscaling.training.recipe import load_recipe, recipe_file

EACH = object()
"""In a pattern of keys: every item of a list or of a mapping."""


def name_faults(document: Document, file: Path) -> Iterator[Fault]:
    """Every name in the study that stands for nothing; `file`: the study's own, from whose folder recipes are found."""
    content = document.content
    yield from _arch_faults(content)
    yield from _recipe_faults(content, file)
    yield from _unknown(content, ("runs", EACH, "datasets", EACH), "dataset", keys_at(content, "datasets"))
    yield from _unknown_keys(content, ("training", "packs"), "dataset", keys_at(content, "datasets"))
    for pattern in (("brainscore", "data", "simulated"), ("encoding", EACH, "data", "simulated")):
        yield from _unknown(content, pattern, "simulated brain", keys_at(content, "simulated"))
    yield from _benchmark_faults(content)
    for arch in keys_at(content, "layers"):
        yield from _unknown_keys(content, ("layers", arch, "regions"), "region", list(ids.REGIONS))
    yield from _region_faults(content)
    yield from _submission_faults(content)


def texts(content: Any, pattern: tuple[Any, ...], place: Location = ()) -> Iterator[tuple[Location, str]]:
    """The texts at the places that a pattern of keys names, e.g. ("runs", EACH, "archs", EACH)."""
    if not pattern:
        if isinstance(content, str):
            yield place, content
        return
    first, *rest = pattern
    if first is EACH and isinstance(content, list):
        for i, item in enumerate(content):
            yield from texts(item, tuple(rest), (*place, i))
    elif first is EACH and isinstance(content, dict):
        for key, item in content.items():
            yield from texts(item, tuple(rest), (*place, key))
    elif isinstance(content, dict) and first in content:
        yield from texts(content[first], tuple(rest), (*place, first))


def keys_at(content: Any, *path: str) -> list[str]:
    """Keys of the mapping at `path`; none where there is no mapping."""
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return [key for key in content if isinstance(key, str)] if isinstance(content, dict) else []


def _unknown(content: Any, pattern: tuple[Any, ...], what: str, allowed: list[str]) -> Iterator[Fault]:
    for place, name in texts(content, pattern):
        if name not in allowed:
            yield Fault(place, Problem(f"unknown {what}", "", name, listing(allowed), nearest(name, allowed)))


def _unknown_keys(content: Any, path: tuple[str, ...], what: str, allowed: list[str]) -> Iterator[Fault]:
    for name in keys_at(content, *path):
        if name not in allowed:
            problem = Problem(f"unknown {what}", "", name, listing(allowed), nearest(name, allowed))
            yield Fault((*path, name), problem)


def _arch_faults(content: Any) -> Iterator[Fault]:
    found = [pair for key in ("archs", "untrained", "pretrained") for pair in texts(content, ("runs", EACH, key, EACH))]
    found += [(("layers", arch), arch) for arch in keys_at(content, "layers")]
    for place, name in found:
        yield from (Fault(place, problem) for problem in names.problems(name))


def _recipe_faults(content: Any, file: Path) -> Iterator[Fault]:
    protocol = content.get("protocol") if isinstance(content, dict) else None
    seen: dict[str, tuple[Path, str]] = {}
    for place, name in texts(content, ("runs", EACH, "recipe")):
        try:
            load_recipe(name, "parity" if protocol == "parity" else "corrected", file)
            path = recipe_file(name, file)
            digest = file_sha256(path)
        except NeuroscalingError as error:
            yield from (Fault(place, problem) for problem in error.problems)
            continue
        other, known = seen.setdefault(path.stem, (path, digest))
        if known != digest:
            # Runs of both would stand in tables and figures under one name.
            what = f"two recipes are called `{path.stem}`"
            yield Fault(place, Problem(what, "", str(path), fix=f"rename this file or {other}"))


def _benchmark_faults(content: Any) -> Iterator[Fault]:
    defined = keys_at(content, "brainscore", "define")
    for place, name in texts(content, ("brainscore", "benchmarks", EACH)):
        if name not in ids.BENCHMARKS and name not in defined:
            yield Fault(place, _unknown_benchmark(name, [*defined, *ids.BENCHMARKS]))
    for name in defined:
        if name in ids.BENCHMARKS or name in ids.NOT_SERVED:
            fix = "give it another name, or drop the definition to use the registered one"
            problem = Problem("a benchmark of this name is registered", "", name, fix=fix)
            yield Fault(("brainscore", "define", name), problem)


def _unknown_benchmark(name: str, allowed: list[str]) -> Problem:
    if name in ids.NOT_SERVED:
        what = f"this benchmark is not served: {ids.NOT_SERVED[name]}"
        return Problem(what, "", name, "`neuroscaling benchmarks` lists those that are")
    fix = "`neuroscaling benchmarks` lists all; one of your own goes under `brainscore.define`"
    return Problem("unknown benchmark", "", name, listing(allowed), nearest(name, allowed), fix)


def _region_faults(content: Any) -> Iterator[Fault]:
    """Regions of the Algonauts challenge; those of NSD are what its label files name."""
    for (*place, _), source in texts(content, ("encoding", EACH, "source")):
        if source == "algonauts2023":
            entry = content["encoding"][place[1]]
            for inner, region in texts(entry, ("regions", EACH)):
                if region not in rois.REGIONS:
                    allowed = list(rois.REGIONS)
                    problem = Problem("unknown region", "", region, listing(allowed), nearest(region, allowed))
                    yield Fault((*place, *inner), problem)


def _submission_faults(content: Any) -> Iterator[Fault]:
    keys = ("archs", "untrained", "pretrained", "baselines")
    archs = [name for key in keys for _, name in texts(content, ("runs", EACH, key, EACH))]
    for place, name in texts(content, ("encoding", EACH, "submissions", EACH, "archs", EACH)):
        if name not in archs:
            yield Fault(place, Problem("no run of this architecture", "", name, listing(archs), nearest(name, archs)))
