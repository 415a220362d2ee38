"""What a study does with a network, tried on a few images before anything is trained: built, run, saved, read again.

The command line imports this module at its start, so torch, and what loads it, is imported in functions.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from neuroscaling.core.errors import NeuroscalingError, Place, Problem, listing
from neuroscaling.core.hashing import content_hash
from neuroscaling.core.provenance import VERSION
from neuroscaling.datasets.image_listing import read_cache, write_cache
from neuroscaling.study import architectures
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.layer_choice import extracted_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.own_networks import is_dotted
from neuroscaling.study.sections.extraction import FeatureOptions, Layers

if TYPE_CHECKING:
    from torch import Tensor, nn


log = logging.getLogger(__name__)
CLASSES = 7
IMAGES = 3
PARAMETERS, MACS = 60e6, 5e9
"""Networks with more are looked at without numbers: the trial of a larger one takes more than some seconds."""
TOLERANCE = 1e-5
"""Difference, of the norm, between features before saving and after reading: both are float32 of one processor."""


@dataclass(frozen=True)
class Use:
    """What the runs of a study do with an architecture: kinds of runs, objectives of training, what is extracted.

    layers: as extraction is told of them, and {} for the defaults; None where no activations are extracted.
    """

    arch: str
    kinds: frozenset[str]
    objectives: frozenset[str]
    layers: dict[str, Any] | None


def network_problems(study: LoadedStudy) -> list[Problem]:
    """What would go wrong with the networks of a study that this package's own tests don't know.

    A network of timm's or torchvision's that was found sound is noted in the store's cache, and not tried out again
    before the libraries change; one's own are tried out every time: their modules may import what nobody looks at.
    """
    problems = []
    for use in _uses(study):
        note = _note(study, use)
        if read_cache(note, use.arch):
            continue
        try:
            found = try_network(use, study.config.extraction)
        except NeuroscalingError as error:
            found = [_of(use.arch, problem) for problem in error.problems]
        problems += found
        if not found:
            write_cache(note, use.arch, True)
    return problems


def _note(study: LoadedStudy, use: Use) -> Path | None:
    """The file that says that a network was found sound; None for one that anybody may edit."""
    if is_dotted(use.arch):
        return None
    uses = [sorted(use.kinds), sorted(use.objectives), use.layers, study.config.extraction.tokens]
    versions = [VERSION, *(version(package) for package in ("torch", "timm", "torchvision"))]
    return (
        study.store.cache()
        / "networks"
        / f"{content_hash([architectures.architecture_definition(use.arch), uses, versions])}.json"
    )


def _uses(study: LoadedStudy) -> Iterator[Use]:
    """Architectures that are not of the zoo, a flex family or the encoding study, or not of their own image size."""
    runs = [run for run in study.runs.values() if run.kind != "baseline"]
    tested = {model.name for model in encoding_models()}
    for arch in dict.fromkeys(run.arch for run in runs):
        of_its_own_size = arch == architectures.without_size(arch)
        if (architectures.architecture(arch).layers and of_its_own_size) or arch in tested:
            continue
        mine = [run for run in runs if run.arch == arch]
        yield Use(
            arch,
            frozenset(run.kind for run in mine),
            frozenset(run.recipe.objective for run in mine if run.recipe),
            extracted_layers(study.config, mine[0]) if study.config.brainscore or study.config.encoding else None,
        )


def try_network(use: Use, options: FeatureOptions) -> list[Problem]:
    """What is wrong with one network. Raises NeuroscalingError for what ends the trial.

    Networks of more than 60 million parameters or 5 billion multiply-adds are not run with numbers; the log says so.
    """
    from neuroscaling.models.build import skeleton
    from neuroscaling.models.cost import count, parameters_of

    size = parameters_of(skeleton(use.arch))
    if size > PARAMETERS or count(use.arch)["macs"] > MACS:
        log.warning("%s is too large to be tried out: its layers are looked at, no image goes through it", use.arch)
        return _shapes_alone(use, options)
    return _tried(use, options)


def _shapes_alone(use: Use, options: FeatureOptions) -> list[Problem]:
    from neuroscaling.models.build import with_shapes

    if use.layers is not None:
        with_shapes(use.arch, lambda model: _extractor(use, options, model))
    return []


def _tried(use: Use, options: FeatureOptions) -> list[Problem]:
    from neuroscaling.models.batch_independence import company_problems
    from neuroscaling.models.build import build, run_or_refuse
    from neuroscaling.models.checkpoints import build_with
    from neuroscaling.models.weights import save_weights

    arch, size = use.arch, architectures.architecture(use.arch).input_size
    problems = list(_training_problems(use)) if "trained" in use.kinds else []
    model = build(arch, CLASSES, 0)
    outputs = run_or_refuse(arch, lambda: _extractor(use, options, model)).outputs if use.layers is not None else {}
    found = run_or_refuse(arch, lambda: company_problems(arch, model, outputs, size))
    if found:
        return problems + found
    before = run_or_refuse(arch, lambda: _features(model, outputs, size))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_weights(model, path, {"arch": arch, "classes": str(CLASSES), "seed": "0"})
        again = build_with(arch, path)
    after = run_or_refuse(arch, lambda: _features(again, outputs, size))
    changed = [layer for layer in before if not _equal(before[layer], after[layer])]
    if changed:
        what = "the network gives other features once its weights were written and read: part of it is in no tensor"
        fix = "make what it computes with a parameter or a buffer (`register_buffer`)"
        problems.append(Problem(what=what, where=arch, value=f"layers {listing(changed, 6)}", fix=fix))
    return problems


def _training_problems(use: Use) -> Iterator[Problem]:
    """What is wrong with the network in training, for each objective of the study."""
    for objective in sorted(use.objectives):
        try:
            yield from _objective_problems(use.arch, objective)
        except NeuroscalingError as error:
            yield from error.problems


def _objective_problems(arch: str, objective: str) -> list[Problem]:
    from neuroscaling.models.build import build, run_or_refuse
    from neuroscaling.training.self_supervised_objectives import as_backbone

    model = build(arch, CLASSES, 0)
    width = as_backbone(model, arch) if objective in ("simclr", "dino") else CLASSES
    what = f"a step of training ({objective}) fails"
    return run_or_refuse(arch, lambda: _step_problems(arch, model, width), what)


def _step_problems(arch: str, model: "nn.Module", width: int) -> list[Problem]:
    import torch

    if not any(parameter.requires_grad for parameter in model.parameters()):
        fix = "name it under `untrained:`, or give its parameters gradients (`requires_grad`)"
        return [Problem(what="a network without parameters that can be trained", where=arch, fix=fix)]
    outputs = model.train()(_images(architectures.architecture(arch).input_size))
    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != (IMAGES, width):
        given = f"a tensor {tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        what = f"in training the network doesn't give logits of {width} classes for {IMAGES} images"
        return [Problem(what=what, where=arch, value=given, allowed=f"a tensor ({IMAGES}, {width})")]
    outputs.float().logsumexp(1).sum().backward()
    return []


def _extractor(use: Use, options: FeatureOptions, model: "nn.Module") -> Any:
    """The network as its activations would be extracted. Raises what is wrong with its layers."""
    from neuroscaling.activations.networks import network_extractor
    from neuroscaling.models.state import network_device

    features = FeatureSpec(Layers.model_validate(use.layers or {}), options=options)
    return network_extractor(model, use.arch, "untrained", features, network_device(model))


def _features(model: "nn.Module", outputs: dict[str, Any], size: int) -> dict[str, "Tensor"]:
    """What the network gives for a few images, always the same, and the layers of `outputs` on the way."""
    import torch

    from neuroscaling.models.batch_independence import exact, hooked
    from neuroscaling.models.capture import run

    found: dict[str, torch.Tensor] = {}

    def keep(layer: str, output: torch.Tensor) -> None:
        found[layer] = output.detach().clone()

    with exact(), hooked(model, outputs, list(outputs), keep):
        logits = run(model, _images(size))
    return found | ({"(output)": logits} if isinstance(logits, torch.Tensor) else {})


def _images(size: int) -> "Tensor":
    """Images (3, 3, size, size) of normalised pixels."""
    import torch

    return torch.randn(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))


def _equal(one: "Tensor", other: "Tensor") -> bool:
    return one.shape == other.shape and bool((one - other).norm() <= TOLERANCE * one.norm())


def _of(arch: str, problem: Problem) -> Problem:
    return problem if arch in str(problem.where) else replace(problem, where=Place(arch, note=str(problem.where)))


ENCODING_MODELS = Path(__file__).with_name("encoding_models.yaml")


@dataclass(frozen=True)
class EncodingModel:
    """A published model: `name` builds it, `called` is what the seed study calls it.

    parameters: with the head of its published weights; trunk: without; blocks: candidate layers; width: channels of the
    last; input_size: pixels of each side; grid: places of the last block along each side; weights: `pure` or
    `fine-tuned` (on labels, after CLIP); licence: of the weights.
    """

    name: str
    called: str
    parameters: int
    trunk: int
    blocks: int
    width: int
    input_size: int
    grid: int
    weights: str
    licence: str


@cache
def encoding_models() -> tuple[EncodingModel, ...]:
    """All of them, in the order of the table."""
    return tuple(EncodingModel(**entry) for entry in yaml.safe_load(ENCODING_MODELS.read_text(encoding="utf-8")))
