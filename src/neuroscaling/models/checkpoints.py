"""Networks get the weights of a file, of an original checkpoint, or of timm and torchvision."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import model_entrypoint
from torch import nn
from torch.overrides import TorchFunctionMode

from neuroscaling.core.array_files import SAFETENSORS_METADATA, safetensors_header
from neuroscaling.core.downloads import silent_connections_end
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.models.build import build, create, plain, seeded, skeleton
from neuroscaling.models.efficientnet_names import MARK, timm_names
from neuroscaling.models.heads import FIRST, class_axes, classes_of, head_names, takes_no_head
from neuroscaling.models.one_peace import vision_names
from neuroscaling.models.state import not_loaded, refuse_empty, shapes, without_counters
from neuroscaling.models.torchvision_names import TORCHVISION_MARK, names_from_torchvision
from neuroscaling.models.weights import check_tensors, differences, load_tensors, of_architecture, read_weights
from neuroscaling.study import architectures
from neuroscaling.study.architectures import ONE_PEACE, OWN, TORCHVISION, architecture, architecture_definition
from neuroscaling.study.own_networks import is_dotted
from neuroscaling.study.packaged_weights import packaged_file, packaged_weights
from neuroscaling.study.published_weights import (
    HUB_PREFIX,
    SAFETENSORS,
    published_weights,
    require_sha256,
    weights_file,
    weights_problems,
)

log = logging.getLogger(__name__)
DRAWS = {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_, torch.Tensor.random_}
SCORED_OF_TWO = (("teacher", "student"), ("encoder_q", "encoder_k"), ("online", "target"))
"""Of two networks that are trained together: the one that is used afterwards, and the other (DINO, MoCo, BYOL)."""
FIX = "check which weights belong to this architecture; train the run again if they are its own"


@dataclass(frozen=True)
class Reading:
    """Tensors of a file under the names of a network, and the classes that they are for (0: no head).

    prefix: what all their names in the file begin with.
    """

    tensors: dict[str, torch.Tensor]
    classes: int
    prefix: str = ""


def build_with(arch: str, weights: Path, ema: bool | None = None) -> nn.Module:
    """A network of architecture `arch` with the weights of a file, and as many outputs as those have (0: no head).

    ema: whether the file's averaged weights are meant; None for those that its layout's own reader takes. What the
    weights of one's own network don't hold is as it was when it was made: a run's file says from which seed. Names may
    begin with a prefix (`module.`, `backbone.`) where one alone makes them fit; of two networks that were trained
    together it is that of the one that is used afterwards, such as DINO's teacher. Raises DataError when the file is
    missing, damaged or of another architecture, or fits in several ways.
    """
    return network_with(arch, *read_weights(weights, ema), weights)


def network_with(arch: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str], weights: Path) -> nn.Module:
    """The same of what was read of the file `weights`: its tensors and its metadata."""
    reading = _reading(arch, tensors, metadata, weights)
    if reading.prefix:
        left = len(tensors) - len(reading.tensors)
        log.info("%s: what begins with `%s` is taken, %d other tensors are not", weights, reading.prefix, left)
    model = _made(arch, reading.classes, metadata.get("seed", ""))
    load_tensors(model, reading.tensors, metadata, arch, weights)
    if unfilled := not_loaded(model):
        what = "parameters that the network keeps out of its state dictionary, so that they can't be loaded"
        fix = "let the module's state dictionary hold all its parameters"
        raise DataError(Problem(what=what, where=f"{arch}, {weights}", value=listing(unfilled), fix=fix))
    return model


def tensor_problems(arch: str, file: Path) -> list[Problem]:
    """Return what of the tensors in a safetensors file doesn't fit a network of `arch`, from names and shapes alone.

    In a second, however large the file; of a file of torch.save nothing is known without reading it. Raises StudyError
    for an unknown architecture.
    """
    if file.suffix != SAFETENSORS:
        return []
    try:
        header = safetensors_header(file)
    except DataError:  # weights_problems tells of it
        return []
    metadata = header.pop(SAFETENSORS_METADATA)
    tensors = {name: torch.empty(entry["shape"], device="meta") for name, entry in header.items()}
    try:
        _reading(arch, tensors, metadata, file)
    except DataError as error:
        return error.problems
    return []


class NoDraws(TorchFunctionMode):
    """Within it parameters are made without drawing initial weights, which takes minutes for billions of them.

    They are loaded afterwards. What is no parameter is drawn: it may be in no file.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let random functions that fill a parameter return it as it is."""
        if function in DRAWS and isinstance(args[0], nn.Parameter):
            return args[0]
        return function(*args, **(kwargs or {}))


def _made(arch: str, classes: int, seed: str) -> nn.Module:
    """Return the network as it was made, of one's own; what others compute with is all in their files."""
    if seed.isdigit() and is_dotted(arch):
        return build(arch, classes, int(seed))
    with NoDraws(), seeded(0):
        model = create(architecture(arch), classes)
    refuse_empty(model, arch)
    return model


def _reading(arch: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str], file: Path) -> Reading:
    """Return the one way to read `tensors` as a network of `arch`. Raises DataError where there is none, or several."""
    plain = _read_as(arch, tensors, metadata)
    if (
        plain
        and of_architecture(metadata, arch)
        and not differences(_skeleton(arch, plain.classes), plain.tensors, metadata)
    ):
        return plain
    found = [] if "arch" in metadata else _scored(_distinct(_under_prefixes(arch, tensors, metadata)))
    if len(found) == 1:
        return found[0]
    if found:
        what = "the weights of several networks, and each would fit"
        names = listing([f"`{reading.prefix}`" for reading in found])
        fix = "write those that you want to a file of their own, with names that begin with no prefix"
        raise DataError(
            Problem(
                what=what,
                where=str(file),
                value=f"names that begin with {names}",
                allowed=f"weights of one {arch}",
                fix=fix,
            )
        )
    if plain is None:
        raise DataError(_no_head(arch, tensors, metadata, file))
    check_tensors(_skeleton(arch, plain.classes), plain.tensors, metadata, arch, file)
    raise AssertionError("tensors that fit were not taken")


def _distinct(readings: list[Reading]) -> list[Reading]:
    """Those of `readings` with weights of their own: a wrapped network is often there under two names."""
    found: list[Reading] = []
    for one in readings:
        alike = (other for other in found if other.tensors.keys() == one.tensors.keys())
        if not any(all(torch.equal(other.tensors[name], one.tensors[name]) for name in one.tensors) for other in alike):
            found.append(one)
    return found


def _scored(readings: list[Reading]) -> list[Reading]:
    """Of two networks that were trained together the one that is used afterwards; all where the names say nothing."""
    for taken, left in SCORED_OF_TWO:
        chosen = [one for one in readings if taken in one.prefix]
        others = [one for one in readings if left in one.prefix and taken not in one.prefix]
        if len(chosen) == 1 and others and len(chosen) + len(others) == len(readings):
            log.info("`%s` is taken, and not the network that was trained with it", chosen[0].prefix)
            return chosen
    return readings


def _read_as(
    arch: str, tensors: dict[str, torch.Tensor], metadata: Mapping[str, str], prefix: str = ""
) -> Reading | None:
    """Return `tensors` under the network's names, whether they fit or not; None where no number of classes would do."""
    under = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    own = _own_names(arch, _named_modules(arch, under))
    said = metadata.get("classes", "")
    classes = int(said) if said.isdigit() else classes_of(arch, shapes(own))
    return None if classes is None else Reading(own, classes, prefix)


def _under_prefixes(arch: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> list[Reading]:
    """Return all ways to read `tensors` with a prefix taken off, and without those that have another."""
    wanted = _own_parts(arch)
    anchor = max(wanted, key=len, default="")
    anchors = {anchor, _numbered(arch, anchor)} if anchor else set()
    prefixes = {name.removesuffix(end) for name in tensors for end in anchors if name.endswith(f".{end}")}
    found: dict[frozenset[int], Reading] = {}
    for prefix in sorted(prefixes | set(_common(tensors))):
        reading = _read_as(arch, tensors, metadata, prefix)
        if reading is None or not wanted <= set(reading.tensors):
            continue
        if not differences(_skeleton(arch, reading.classes), reading.tensors, metadata):
            found.setdefault(frozenset(map(id, reading.tensors.values())), reading)
    return list(found.values())


def _numbered(arch: str, name: str) -> str:
    """The name of a tensor where the network's modules stand in a `Sequential`, as SimCLR's backbones do."""
    first, _, rest = name.partition(".")
    modules = list(dict(_skeleton(arch).named_children()))
    return f"{modules.index(first)}.{rest}" if first in modules else name


def _named_modules(arch: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`tensors` with the names of the network's modules in place of their numbers; others as they are."""
    if not all(name.partition(".")[0].isdigit() for name in tensors) or not _own_parts(arch).isdisjoint(tensors):
        return tensors
    modules = list(dict(_skeleton(arch).named_children()))
    parts = [(name.partition("."), value) for name, value in tensors.items()]
    if any(int(number) >= len(modules) for (number, _, _), _ in parts):
        return tensors
    return {f"{modules[int(number)]}.{rest}": value for (number, _, rest), value in parts}


def _common(tensors: Mapping[str, Any]) -> list[str]:
    """Return prefixes, up to a dot each, that all names have."""
    parts = [name.split(".")[:-1] for name in tensors]
    shared: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(f"{shared[-1] if shared else ''}{level[0]}.")
    return shared


def _no_head(arch: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str], file: Path) -> Problem:
    name = next(iter(class_axes(arch)), "")
    what = f"weights of another architecture: no `{name}`" + (" that fits" if name in tensors else "")
    prefixes = _common(tensors)
    told = f"; all names begin with `{prefixes[-1]}`" if prefixes else ""
    found = metadata.get("arch", f"{listing(list(tensors), 3)}{told}")
    return Problem(what=what, where=str(file), value=found, allowed=f"weights of {arch}", fix=FIX)


def _own_names(arch: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors of an original checkpoint under the names of the network; others as they are."""
    name = architecture(arch).timm_name
    if name == ONE_PEACE:
        return vision_names(tensors)
    if not takes_no_head(arch) or name.startswith(OWN) or _own_parts(arch) <= set(tensors):
        return tensors
    if MARK in tensors:
        return timm_names(tensors, _skeleton(arch).state_dict())
    if TORCHVISION_MARK in tensors:
        return names_from_torchvision(arch, tensors, _skeleton(arch).state_dict())
    rename = getattr(sys.modules[model_entrypoint(name.partition(".")[0]).__module__], "checkpoint_filter_fn", None)
    try:
        return rename(dict(tensors), _skeleton(arch)) if rename else tensors
    except Exception:  # timm's filters meet any error in names that they don't know; loading names these
        return tensors


def _skeleton(arch: str, classes: int = FIRST) -> nn.Module:
    """The network's shapes, to look at: one file is compared with them several times."""
    return _kept_skeleton(arch, classes, str(architecture_definition(arch)))


@lru_cache(4)
def _kept_skeleton(arch: str, classes: int, definition: str) -> nn.Module:
    return skeleton(arch, classes)


def _own_parts(arch: str) -> frozenset[str]:
    """Return names of the network's tensors but for its heads and what older files don't have."""
    return _parts(arch, str(architecture_definition(arch)))


@cache
def _parts(arch: str, definition: str) -> frozenset[str]:
    model = _skeleton(arch)
    heads = tuple(f"{head}." for head in head_names(arch, model))
    return frozenset(name for name in without_counters(model.state_dict()) if not name.startswith(heads))


def build_pretrained(arch: str, weights: Path | None = None, sha256: str | None = None) -> nn.Module:
    """Return a network with published weights: of the file `weights`, of a package, or of timm's or torchvision's hub.

    arch: usually with the tag of the weights, e.g. `resnet18.a1_in1k`, `torchvision.resnet18.IMAGENET1K_V1`. weights:
    safetensors or what torch.save wrote, under this package's or timm's names or those of the original checkpoint,
    with or without a classifier; `weight_files.weights_file` says where else it is looked for. sha256: what the run's
    name says of the file. Raises DataError when the weights can't be had, don't fit, or are those of another file.
    """
    if weights is not None:
        file = weights_file(weights, arch) or weights
        if sha256 is not None:
            require_sha256(file, sha256)
        return build_with(arch, file)
    if held := packaged_weights(arch):
        return build_with(arch, packaged_file(held))
    if problems := weights_problems(arch, None):
        raise DataError(problems)
    require_published(arch)
    try:
        with silent_connections_end(), seeded(0):  # of what the weights don't hold
            return plain(_published(architectures.with_tag(arch)), arch)
    except Exception as error:  # a hub client raises errors of many libraries
        raise DataError(
            Problem(
                what=f"published weights can't be fetched ({type(error).__name__}: {str(error).splitlines()[0][:200]})",
                value=arch,
                fix="without a network, put <name>.safetensors into a folder and name it with `weights:` in the study",
            )
        ) from error


def _published(name: str) -> nn.Module:
    if not name.startswith(TORCHVISION):
        return timm.create_model(name, pretrained=True)
    from torchvision.models import get_model  # slow to import, and for its own networks alone

    _, base, *tag = name.split(".")
    return get_model(base, weights=tag[0] if tag else "DEFAULT")


def require_published(arch: str) -> None:
    """Raise DataError where the installed library fetches the weights of `arch` from elsewhere than names say."""
    known = published_weights(arch)
    found = source_in_library(known["name"])
    if found != known["source"]:
        what = "the installed library fetches these weights from elsewhere than the run's name says"
        fix = "install the versions of envs/, or write the table anew: python tools/network_tables.py"
        raise DataError(Problem(what=what, where=known["name"], value=found, allowed=known["source"], fix=fix))


def source_in_library(name: str) -> str:
    """Where the installed library fetches the weights of this full name from; empty for nowhere."""
    if name.startswith(TORCHVISION):
        weights = torchvision_weights(name)
        return str(weights.url) if weights else ""
    config = timm_config(name)
    hub = "/".join(filter(None, [config.hf_hub_id, config.hf_hub_filename])) if config else ""
    return f"{HUB_PREFIX}{hub}" if hub else str(config.url or "") if config else ""


def timm_config(name: str) -> Any:
    import timm  # slow to import, and for weights that it publishes alone

    return timm.get_pretrained_cfg(name, allow_unregistered=True)


def torchvision_weights(name: str) -> Any:
    from torchvision.models import get_model_weights  # as above

    base, _, tag = name.removeprefix(TORCHVISION).partition(".")
    return get_model_weights(base)[tag] if tag else None
