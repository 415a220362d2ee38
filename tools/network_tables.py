"""Write the tables of networks anew: names, published weights and costs. Do so when timm or torchvision is upgraded."""

import sys
from collections.abc import Iterator
from pathlib import Path

from neuroscaling.core.files import atomic_path
from neuroscaling.models.checkpoints import source_in_library, timm_config, torchvision_weights
from neuroscaling.planning.workload import COSTS_TABLE, definition_of
from neuroscaling.study import architectures
from neuroscaling.study.architectures import TORCHVISION
from neuroscaling.study.published_weights import COLOURS, HUB_PREFIX, OFTEN, PUBLISHED_WEIGHTS
from neuroscaling.training.network_trials import encoding_models


def timm_models() -> str:
    """One line a model: name, module of timm, input size in pixels, and tags (`tag` or `tag@size` where it differs).

    The first tag is of the weights that timm takes where none is named.
    """
    import timm
    from timm.models import model_entrypoint

    tags: dict[str, list[str]] = {}
    for name in timm.list_pretrained():
        base, _, tag = name.partition(".")
        tags.setdefault(base, []).append(tag)
    lines = [f"# models of timm {timm.__version__}: name, module, input size, tags of published weights"]
    for name in timm.list_models():
        size = _input_size(name)
        default = timm.get_pretrained_cfg(name).tag
        ordered = sorted(filter(None, tags.get(name, [])), key=lambda tag: (tag != default, tag))
        listed = ",".join(_tag(name, tag, size) for tag in ordered)
        lines.append("\t".join([name, model_entrypoint(name).__module__.rsplit(".", 1)[-1], str(size), listed]))
    return "\n".join(lines) + "\n"


def _tag(name: str, tag: str, size: int) -> str:
    own = _input_size(f"{name}.{tag}")
    return tag if own == size else f"{tag}@{own}"


def _input_size(name: str) -> int:
    import timm

    return max(timm.get_pretrained_cfg(name).input_size[1:])


def torchvision_models() -> str:
    """One line a model: name, module of torchvision, input size in pixels, tags of published weights of that size.

    The first tag is of torchvision's default weights, where these have that size.
    """
    import torchvision
    from torchvision import models

    lines = [f"# models of torchvision {torchvision.__version__.partition('+')[0]}: name, module, input size, tags"]
    for name in models.list_models(module=models):
        weights = list(models.get_model_weights(name))
        sizes = {entry.name: entry.transforms().crop_size[0] for entry in weights}
        size = sizes.get("IMAGENET1K_V1") or min(sizes.values())
        module = models.get_model_builder(name).__module__.rsplit(".", 1)[-1]
        default = models.get_model_weights(name).DEFAULT.name
        tags = ",".join(sorted((tag for tag, own in sizes.items() if own == size), key=lambda tag: tag != default))
        lines.append("\t".join([name, module, str(size), tags]))
    return "\n".join(lines) + "\n"


def published_weights_table() -> str:
    """One line for each weights, and for each network without any: full name, source, how images are shown to it."""
    import timm
    import torchvision

    versions = f"timm {timm.__version__} and torchvision {torchvision.__version__.partition('+')[0]}"
    lines = [f"# of {versions}: name, source ({OFTEN}: {HUB_PREFIX}timm/NAME), interpolation, crop, mean and deviation"]
    for name in sorted(architectures.all_published_weights()):
        source = source_in_library(name)
        shown = " ".join(_presentation_words(name))
        lines.append(f"{name}\t{OFTEN if source == f'{HUB_PREFIX}timm/{name}' else source}\t{shown}")
    return "\n".join(lines) + "\n"


def _presentation_words(name: str) -> Iterator[str]:
    """Interpolation, crop, mean and standard deviation as the installed library says, and as the table has them."""
    if name.startswith(TORCHVISION):
        weights = torchvision_weights(name)
        shown = weights.transforms()
        yield shown.interpolation.value
        crop, mean, std = shown.crop_size[0] / shown.resize_size[0], tuple(shown.mean), tuple(shown.std)
    else:
        config = timm_config(name)
        known = config.interpolation in ("bilinear", "bicubic", "nearest", "lanczos")
        yield config.interpolation if known else "bilinear"
        crop, mean, std = float(config.crop_pct or 1), tuple(config.mean), tuple(config.std)
    yield repr(crop)
    called = next((word for word, known in COLOURS.items() if known == (mean, std)), None)
    yield called or " ".join(",".join(map(repr, map(float, numbers))) for numbers in (mean, std))


def write_costs(archs: list[str], path: Path = COSTS_TABLE) -> None:
    """Count `archs` and write the table: `python tools/network_tables.py NAME ...`: the zoo and others."""
    from neuroscaling.core.files import atomic_path
    from neuroscaling.planning.network_shapes import counted_shape

    lines = [COSTS_HEADER]
    for arch in archs:
        lines.append("\t".join([arch, definition_of(arch), *counted_shape(arch).columns()]))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


COSTS_HEADER = (
    "# arch\tdefinition\tn_params\tmacs\tlive\tmade\tlargest\tlayers: counted on the meta device, 1,000 classes, one "
    "image; planning/network_shapes.py says what they are"
)


def main() -> None:
    """Write the four tables; further architectures to count come from the command line."""
    for path, table in (
        (architectures.TIMM_NAMES, timm_models),
        (architectures.TORCHVISION_NAMES, torchvision_models),
        (PUBLISHED_WEIGHTS, published_weights_table),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(table(), encoding="utf-8")
    write_costs(list(dict.fromkeys([*architectures.architecture_names(), *encoding_networks(), *sys.argv[1:]])))


def encoding_networks() -> list[str]:
    """The published networks of the encoding study, without tags of weights where these change no shape."""
    found = []
    for name in (model.name for model in encoding_models()):
        plain = architectures.without_tag(name)
        same = architectures.architecture(plain).input_size == architectures.architecture(name).input_size
        found.append(plain if same else name)
    return found


if __name__ == "__main__":
    main()
