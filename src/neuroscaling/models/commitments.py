"""Published choices of layers, in the form of layer_commitments.json of Gokce & Schrimpf 2025. Light."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.files import read_json
from neuroscaling.models.published_layers import own_layer

SEED = "seed-0"
"""Nearly all published choices were made on this seed, and other seeds fall back to it."""


@dataclass(frozen=True)
class Commitment:
    """Layer of each region, and of the behavioural readout."""

    regions: dict[str, str]
    readout: str | None


# What Brain-Score holds of CORnet-S, whose areas are named after regions; the file has nothing for it.
CORNET_S = Commitment({area: f"{area}.output" for area in ("V1", "V2", "V4", "IT")}, "decoder.avgpool")
ALIASES = {"vit_base": "vit_b_16", "vit_large": "vit_l_16"}  # of the zoo's names in the file


def published(path: Path, arch: str, kind: str, dataset: str | None, objective: str = "supervised") -> Commitment:
    """The published choice for `arch`, chosen on the seed-0 network trained on all of `dataset`, in our layers' names.

    kind: trained, untrained or pretrained; objective: of the recipe of trained ones (there is one choice for all data
    sets where it isn't `supervised`). Names are matched without regard to case, to a leading `torchvision.` and to
    timm's `_patch16_224` (the publication's `DeiT_Small` is timm's `deit_small_patch16_224`); pretrained and untrained
    networks take their architecture's `*_pretrained` and `imagenet_full`. Raises DataError with the nearest name where
    the file has none.
    """
    entries = _entries(path)
    if arch == "cornet_s":
        return CORNET_S
    name = _name(arch, objective, entries)
    if name not in entries:
        known = sorted(entries)
        fix = "name its layers in `layers:`, or let them be chosen: `choose: nested`"
        raise DataError(
            Problem("no published layers for this architecture", str(path), arch, nearest=nearest(name, known), fix=fix)
        )
    chosen = entries[name]
    wanted = _wanted(name, kind, dataset, objective)
    key = next((key for key in chosen if fnmatchcase(key.lower(), wanted) and SEED in chosen[key]), None)
    if key is None:
        where = f"{path}: {arch}"
        raise DataError(Problem("no published layers for this data set", where, wanted, listing(sorted(chosen))))
    entry = chosen[key][SEED]
    readout = entry.get("behavioral_readout_layer")
    regions = {region: own_layer(arch, layer) for region, layer in entry["region2layer"].items()}
    return Commitment(regions, readout and own_layer(arch, readout))


def _name(arch: str, objective: str, entries: dict[str, Any]) -> str:
    """The name of an architecture in the file; that with its objective ahead where there is one."""
    name = arch.removeprefix("torchvision.").lower()
    names = [name, name.split("_patch")[0], ALIASES.get(name, name)]
    named = [f"{objective}_{known}" for known in names] + names
    return next((known for known in named if known in entries), name)


def _wanted(name: str, kind: str, dataset: str | None, objective: str) -> str:
    """The key of a choice among those of an architecture, `*` for anything."""
    if kind == "pretrained":
        return "*_pretrained"
    if objective == "supervised":
        return f"{dataset or 'imagenet'}_full".lower()
    if name.startswith(f"{objective}_"):
        return "imagenet_full"
    return {"adversarial": "adv_full"}.get(objective, f"{objective}_full")


@cache
def _entries(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise DataError(Problem("not a file of layer commitments", str(path), allowed="{arch: {dataset_full: ...}}"))
    return {arch.lower(): entry for arch, entry in content.items()}
