"""Layers under torchvision's names, as published choices have them, in networks that timm builds. Light.

timm's modules are cut differently: a name is that of the module that puts out the same numbers, for the MLP of a
ConvNeXt's block maybe in another order of dimensions. timm's normalisations of EfficientNets hold the activation, so
what leaves the normalisation alone is put out by their `drop`, which passes it on.
"""

import re

from neuroscaling.models.dotted import is_dotted
from neuroscaling.models.names import OWN, TORCHVISION, architecture

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
