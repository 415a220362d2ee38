"""A study's layers are named, taken from published choices, or found on a network.

timm's modules are cut differently: a name is that of the module that puts out the same numbers, for the MLP of a
ConvNeXt's block maybe in another order of dimensions. timm's normalisations of EfficientNets hold the activation, so
what leaves the normalisation alone is put out by their `drop`, which passes it on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Place, Problem, StudyError, listing, nearest
from neuroscaling.core.files import read_json
from neuroscaling.study.architectures import OWN, TORCHVISION, architecture
from neuroscaling.study.brainscore_jobs import BrainScoreJob, region_of
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.own_networks import is_dotted
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.whole_study import Study

FOUND = ("nested", "reported")
"""Ways of choosing that look at scores, and so need a job of their own."""


def choice_of_layers(study: Study) -> str:
    """How layers are chosen: as the study says, else by its protocol."""
    assert study.brainscore is not None
    return study.brainscore.layers.choose or {"corrected": "nested", "parity": "reported"}[study.protocol]


def fixed_layers(study: Study, run: Run) -> dict[str, Any]:
    """Layers of `run` that nothing has to look for: {"regions", "readout"} of `layers:`, else those published.

    Raises DataError when the file of published choices has none for the run.
    """
    section = study.layers.get(run.arch)
    regions = dict(section.regions) if section else {}
    readout = section.readout if section else None
    settings = study.brainscore
    if settings and settings.layers.commitments and run.kind != "baseline":
        objective = run.objective or "supervised"
        found = published_commitment(settings.layers.commitments, run.arch, run.kind, run.dataset, objective)
        regions, readout = found.regions | regions, readout or found.readout
    return {"regions": regions, "readout": readout}


def extracted_layers(study: Study, run: Run) -> dict[str, Any]:
    """What extraction is told of a run's layers: {"candidates", "regions", "readout"}; empty for the defaults.

    Where the layers of all regions are known and nothing else reads the activations, no candidates are extracted.
    """
    section = study.layers.get(run.arch)
    fixed = fixed_layers(study, run)
    candidates = section.candidates if section and section.candidates else None
    if candidates is None and study.candidates != "default":
        candidates = study.candidates
    if candidates is None and study.brainscore and choice_of_layers(study) == "published" and not study.encoding:
        candidates = sorted(set(fixed["regions"].values()))
    return {"candidates": candidates, **fixed} if candidates or any(fixed.values()) else {}


def chosen_benchmarks(study: LoadedStudy, job: BrainScoreJob) -> list[str]:
    """Benchmarks of a job whose region's layer is found by looking at scores; behaviour has its readout."""
    if choice_of_layers(study.config) not in FOUND:
        return []
    return [benchmark for benchmark in job.benchmarks if region_of(study, benchmark) != "behavior"]


def reference_run(study: LoadedStudy, run: Run) -> Run:
    """The run on which the layers of `run` are chosen: itself, or the seed-0 network with all training images.

    Raises StudyError when the study has no such network.
    """
    assert study.config.brainscore is not None
    frozen = study.config.brainscore.layers.scope == "arch" or choice_of_layers(study.config) == "reported"
    if not frozen or run.kind not in ("trained", "checkpoint"):
        return run
    if run.kept_epoch is not None:  # as its training at its end
        return reference_run(study, study.runs[str(run.start)])
    alike = [
        other
        for other in study.runs.values()
        if (other.samples_per_class, other.seed) == ("all", 0)
        and _network(other) == _network(run)
        and other.kept_epoch is None
    ]
    if alike:  # of the checkpoints of a network the last
        return max(alike, key=lambda other: (other.checkpoint and other.checkpoint.epoch) or 0)
    what = "no network to choose the layers on: seed 0, all training images"
    fix = "add it to `runs:`, or choose per network: `brainscore: layers: {choose: nested, scope: run}`"
    raise StudyError(
        Problem(
            what=what, where=Place(study.file) / "brainscore" / "layers", value=f"{run.arch} on {run.dataset}", fix=fix
        )
    )


def _network(run: Run) -> tuple[Any, ...]:
    """What networks share whose layers are chosen together: all but the number of images and the seed."""
    return run.kind, run.arch, run.dataset, run.recipe, run.objective


def choice_problems(study: LoadedStudy) -> Iterator[Problem]:
    """What is wrong with the choice of layers: no network to choose on, nothing published for a run."""
    if study.config.brainscore is None:
        return
    found: dict[str, Problem] = {}
    for run in study.runs.values():
        if run.kind == "baseline":
            continue
        try:
            fixed_layers(study.config, run)
            if choice_of_layers(study.config) in FOUND:
                reference_run(study, run)
        except (DataError, StudyError) as error:
            found |= {str(problem): problem for problem in error.problems}
    yield from found.values()


SEED = "seed-0"
"""Nearly all published choices were made on this seed, and other seeds fall back to it."""


@dataclass(frozen=True)
class PublishedCommitment:
    """Layer of each region, and of the behavioural readout."""

    regions: dict[str, str]
    readout: str | None


# What Brain-Score holds of CORnet-S, whose areas are named after regions; the file has nothing for it.
CORNET_S = PublishedCommitment({area: f"{area}.output" for area in ("V1", "V2", "V4", "IT")}, "decoder.avgpool")
ALIASES = {"vit_base": "vit_b_16", "vit_large": "vit_l_16"}  # of the zoo's names in the file


def published_commitment(
    path: Path, arch: str, kind: str, dataset: str | None, objective: str = "supervised"
) -> PublishedCommitment:
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
            Problem(
                what="no published layers for this architecture",
                where=str(path),
                value=arch,
                nearest=nearest(name, known),
                fix=fix,
            )
        )
    chosen = entries[name]
    wanted = _wanted(name, kind, dataset, objective)
    key = next((key for key in chosen if fnmatchcase(key.lower(), wanted) and SEED in chosen[key]), None)
    if key is None:
        where = Place(path) / arch
        raise DataError(
            Problem(
                what="no published layers for this data set", where=where, value=wanted, allowed=listing(sorted(chosen))
            )
        )
    entry = chosen[key][SEED]
    readout = entry.get("behavioral_readout_layer")
    regions = {region: own_layer(arch, layer) for region, layer in entry["region2layer"].items()}
    return PublishedCommitment(regions, readout and own_layer(arch, readout))


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
        raise DataError(
            Problem(what="not a file of layer commitments", where=str(path), allowed="{arch: {dataset_full: ...}}")
        )
    return {arch.lower(): entry for arch, entry in content.items()}


Rules = list[tuple[str, str]]  # a pattern for the whole name, and the name to put for it
WRAPPED = r"^(teacher_)?backbone\."  # ahead of the layers of a self-supervised network
RELU = r"(layer\d+\.\d+)\.relu"  # a block's only ReLU runs several times; its name means the last
BOTTLENECKS = ("resnet50", "resnet101", "resnet152")


def own_layer(arch: str, layer: str) -> str:
    """The layer of our network `arch` that puts out what the published network's `layer` does.

    A layer that no rule knows keeps its name, as do all of networks that timm doesn't build. Raises StudyError for an
    unknown architecture.
    """
    definition, layer = architecture(arch), re.sub(WRAPPED, "", layer)
    name = definition.timm_name.partition(".")[0]
    if is_dotted(name) or definition.timm_name.startswith((OWN, TORCHVISION)):
        return layer
    rules = RULES.get(definition.family.removesuffix("Flex"), [])
    if definition.family == "ResNet":
        rules = [*rules, (RELU, r"\1.act3" if name in BOTTLENECKS else r"\1.act2")]
    found = ((re.fullmatch(pattern, layer), new) for pattern, new in rules)
    return next((match.expand(new) for match, new in found if match), layer)


def _convnext() -> Rules:
    block = {0: "conv_dw", 2: "norm", 3: "mlp.fc1", 4: "mlp.act", 5: "mlp.fc2", 6: "mlp"}
    rules = [(r"features\.0(|\.[01])", r"stem\1"), ("avgpool", "head.global_pool")]
    rules += [(r"classifier\.0", "head.norm"), (r"classifier\.1", "head.flatten")]
    rules += [(rf"features\.{2 * stage}(|\.[01])", rf"stages.{stage}.downsample\1") for stage in (1, 2, 3)]
    for stage in range(4):
        here = rf"features\.{2 * stage + 1}"
        rules += [(here, f"stages.{stage}"), (rf"{here}\.(\d+)", rf"stages.{stage}.blocks.\1")]
        rules += [(rf"{here}\.(\d+)\.block", rf"stages.{stage}.blocks.\1.mlp")]
        rules += [(rf"{here}\.(\d+)\.block\.{i}", rf"stages.{stage}.blocks.\1.{part}") for i, part in block.items()]
    return rules


def _efficientnet() -> Rules:
    """A block's parts are a convolution with its normalisation, or squeeze and excitation."""
    rules = [("avgpool", "global_pool")]
    rules += _convolution(r"features\.0", "", "conv_stem", "bn1") + _convolution(r"features\.8", "", "conv_head", "bn2")
    for stage in range(1, 8):
        parts = ["conv_pw bn1", "conv_dw bn2", "se", "conv_pwl bn3"]
        if stage == 1:  # whose blocks don't widen
            parts = ["conv_dw bn1", "se", "conv_pw bn2"]
        here, there = rf"features\.{stage}\.(\d+)", rf"blocks.{stage - 1}.\1"
        rules += [(rf"features\.{stage}", f"blocks.{stage - 1}"), (here, there)]
        rules += [(rf"{here}\.block", f"{there}.{parts[-1].split()[1]}")]
        for i, part in enumerate(parts):
            inside = rf"{here}\.block\.{i}"
            rules += _excitation(inside, there) if part == "se" else _convolution(inside, f"{there}.", *part.split())
    return rules


def _convolution(pattern: str, prefix: str, convolution: str, norm: str) -> Rules:
    """A convolution, its normalisation and its activation, and the three together."""
    parts = {"": norm, r"\.0": convolution, r"\.1": f"{norm}.drop", r"\.2": norm}
    return [(pattern + part, prefix + name) for part, name in parts.items()]


def _excitation(pattern: str, block: str) -> Rules:
    parts = {"": "se", r"\.fc1": "se.conv_reduce", r"\.activation": "se.act1", r"\.fc2": "se.conv_expand"}
    return [(pattern + part, f"{block}.{name}") for part, name in parts.items()]


def _vit() -> Rules:
    parts = {"ln_1": "norm1", "self_attention": "attn", "ln_2": "norm2", "mlp": "mlp"}
    parts |= {r"mlp\.0": "mlp.fc1", r"mlp\.1": "mlp.act", r"mlp\.3": "mlp.fc2"}
    block = r"encoder\.layers\.encoder_layer_(\d+)"
    rules = [(block, r"blocks.\1"), (r"encoder\.ln", "norm")]
    return rules + [(rf"{block}\.{part}", rf"blocks.\1.{name}") for part, name in parts.items()]


RULES: dict[str, Rules] = {
    "ResNet": [("relu", "act1"), ("avgpool|8", "global_pool")],  # 8: where a SimCLR backbone is numbered
    "ConvNeXt": _convnext(),
    "EfficientNet": _efficientnet(),
    "ViT": _vit(),
}
