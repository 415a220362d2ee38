"""A checkpoint of any usual layout gives the tensors of one network, and says what else the file holds.

Known are safetensors; plain state dictionaries; what timm, torchvision's references and Lightning write; and the
trainer's state of MosaicML's Composer, in which the averaged weights (EMA) stand apart from the network's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from neuroscaling.core.array_files import DEEPEST, SAVE_STATE_ALONE, read_safetensors
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.core.inert_pickle import Inert
from neuroscaling.models.torch_files import TORCH_FILE, open_torch_file, stored_tensors
from neuroscaling.study.published_weights import SAFETENSORS

COMPOSER_MODEL, COMPOSER_EMA = "model", "model_ema_state_dict"
COMPOSER_PARTS = ("named_parameters_dict", "named_buffers_dict")
"""Where Composer's own algorithm EMA keeps the averaged weights."""
OWN = ("state_dict", "model", "module", "model_state_dict", "network")
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema")
"""Keys under which checkpoints keep the weights of the network, and their moving average."""
LAYOUTS = {
    "pytorch-lightning_version": "Lightning",
    "state_dict_ema": "timm",
    "lr_scheduler": "torchvision",
    "arch": "timm",
}
"""Keys that tell who wrote a file."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file by name, and what is known of it.

    form: how the file is written; layout: whose; averaged: are these the averaged weights; has_averaged: does the file
    hold such; epoch: after which it was written, where it says so; metadata: of a safetensors file.
    """

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]
    form: str
    layout: str
    averaged: bool = False
    has_averaged: bool = False
    epoch: int | None = None


def read_checkpoint(path: str | Path, ema: bool | None = None) -> Checkpoint:
    """Read the weights of one network from a file of any known layout. Nothing in the file is run.

    ema: whether the averaged weights are meant; None for those that the layout's own reader takes: of timm's and
    torchvision's files the averaged ones where there are any, of all others the network's own. Raises DataError for a
    missing or damaged file, for one without tensors, and for one without the averaged weights that are asked for.
    """
    path = Path(path)
    if path.suffix == SAFETENSORS:
        tensors, metadata = read_safetensors(path)
        if ema:
            raise DataError(_no_average(path, tensors))
        epoch = metadata.get("epoch", "")
        return Checkpoint(tensors, metadata, "safetensors", "state dictionary", epoch=_number(epoch))
    with open_torch_file(path) as opened:
        content = opened.content
        found = _composer(content) or _usual(content)
        with reading(path, TORCH_FILE, SAVE_STATE_ALONE):
            own, averaged = (stored_tensors(part, DEEPEST) for part in (found.own, found.averaged))
        is_average = bool(averaged) and found.prefers_average if ema is None else ema
        wanted = averaged if is_average else own
        if is_average and not averaged:
            raise DataError(_no_average(path, content))
        if not wanted:
            raise DataError(_no_tensors(path, content))
        return Checkpoint(
            opened.tensors(wanted),
            {},
            f"torch, {opened.form}",
            found.layout,
            is_average,
            bool(averaged),
            found.epoch,
        )


@dataclass(frozen=True)
class _Parts:
    """Where a layout keeps the weights. prefers_average: does its own reader take the averaged ones?"""

    layout: str
    own: Any
    averaged: Any
    epoch: int | None
    prefers_average: bool = False


def _composer(content: Any) -> _Parts | None:
    """The parts of the state of a Composer trainer; None for another file."""
    state = content.get("state") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not isinstance(state.get(COMPOSER_MODEL), dict):
        return None
    averaged = state.get(COMPOSER_EMA) or _composers_average(state.get("algorithms"))
    stamp = state.get("timestamp")
    inner = stamp.get("Timestamp", stamp) if isinstance(stamp, dict) else {}
    return _Parts("Composer", state[COMPOSER_MODEL], averaged, _number(_value(inner, "epoch")))


def _composers_average(algorithms: Any) -> dict[str, Any]:
    """The averaged weights that Composer's algorithm EMA keeps, in its list of algorithms and their states."""
    for entry in algorithms if isinstance(algorithms, list) else []:
        if isinstance(entry, tuple | list) and len(entry) == 2 and entry[0] == "EMA":
            kept = _value(entry[1], "ema_model")
            parts = [_value(kept, part) for part in COMPOSER_PARTS]
            return {name: value for part in parts if isinstance(part, dict) for name, value in part.items()}
    return {}


def _usual(content: Any) -> _Parts:
    """The parts of a state dictionary, or of a dictionary that holds it under a usual key."""
    layout = next((name for key, name in LAYOUTS.items() if _value(content, key) is not None), "state dictionary")
    averaged = next((content[key] for key in AVERAGED if isinstance(_value(content, key), dict)), None)
    own = content
    for _ in range(DEEPEST):
        own = next((own[key] for key in OWN if isinstance(_value(own, key), dict)), own)
    epoch = _number(_value(content, "epoch"))
    return _Parts(layout, own, averaged, epoch, prefers_average=True)


def _value(container: Any, key: str) -> Any:
    return container.get(key) if isinstance(container, Mapping) else None


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _no_average(path: Path, content: Any) -> Problem:
    what, fix = "the file holds no averaged weights (EMA)", "take the network's own: `ema: false`"
    return Problem(what=what, where=str(path), value=_told(content), allowed=listing(list(AVERAGED)), fix=fix)


def _no_tensors(path: Path, content: Any) -> Problem:
    if isinstance(content, Inert):
        what = "a Python object, not a file of tensors: to make it, its code would have to be run"
        allowed = "tensors and plain data"
        return Problem(what=what, where=str(path), value=content.name, allowed=allowed, fix=SAVE_STATE_ALONE)
    return Problem(
        what="no tensors in this file",
        where=str(path),
        value=_told(content),
        allowed="a state dictionary",
        fix=SAVE_STATE_ALONE,
    )


def _told(content: Any) -> str:
    """What a file holds, in a few words: its keys, with the names of what is no plain data."""
    if not isinstance(content, Mapping):
        return content.name if isinstance(content, Inert) else type(content).__name__
    named = [f"{key} ({value.name})" if isinstance(value, Inert) else str(key) for key, value in content.items()]
    return f"a dictionary of {listing(named, 8)}"
