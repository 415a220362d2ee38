"""Published choices of layers, in the form of layer_commitments.json of Gokce & Schrimpf 2025. Light."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.files import read_json

SEED = "seed-0"
"""Nearly all published choices were made on this seed, and other seeds fall back to it."""


@dataclass(frozen=True)
class Commitment:
    """Layer of each region, and of the behavioural readout."""

    regions: dict[str, str]
    readout: str | None


def published(path: Path, arch: str, kind: str, dataset: str | None) -> Commitment:
    """The published choice for `arch`, chosen on the seed-0 network trained on all of `dataset`.

    kind: trained, untrained or pretrained. Names are matched without regard to case, to a leading `torchvision.` and
    to timm's `_patch16_224` (the publication's `DeiT_Small` is timm's `deit_small_patch16_224`); pretrained and
    untrained networks take their architecture's `*_pretrained` and `imagenet_full`. Raises DataError with the nearest
    name where the file has none.
    """
    entries = _entries(path)
    name = arch.removeprefix("torchvision.").lower()
    name = name if name in entries else name.split("_patch")[0]
    if name not in entries:
        known = sorted(entries)
        fix = "name its layers in `layers:`, or let them be chosen: `choose: nested`"
        raise DataError(
            Problem("no published layers for this architecture", str(path), arch, nearest=nearest(name, known), fix=fix)
        )
    chosen = entries[name]
    key = _key(chosen, kind, dataset)
    if key is None:
        where = f"{path}: {arch}"
        wanted = f"{dataset}_full" if kind == "trained" else kind
        raise DataError(Problem("no published layers for this data set", where, wanted, listing(sorted(chosen))))
    entry = chosen[key][SEED]
    return Commitment(dict(entry["region2layer"]), entry.get("behavioral_readout_layer"))


def _key(chosen: dict[str, Any], kind: str, dataset: str | None) -> str | None:
    if kind == "pretrained":
        wanted = [key for key in chosen if key.endswith("_pretrained")]
    else:
        wanted = [f"{dataset or 'imagenet'}_full".lower()]
        wanted = [key for key in chosen if key.lower() in wanted]
    return next((key for key in wanted if SEED in chosen[key]), None)


@cache
def _entries(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise DataError(Problem("not a file of layer commitments", str(path), allowed="{arch: {dataset_full: ...}}"))
    return {arch.lower(): entry for arch, entry in content.items()}
