"""Published weights of timm and torchvision: where they come from, and how images are shown to them. Light.

Read from a table and not from the libraries, so that names can tell weights apart without importing torch, and an
upgrade changes neither weights nor pixels under a name.
`published_weights.txt` anew; do so when either is upgraded.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path
from neuroscaling.models import names
from neuroscaling.models.names import TORCHVISION

PATH = Path(__file__).with_suffix(".txt")
HUB = "hf-hub:"
OFTEN = "hub"
"""In the table: what is at timm's own place of the hub, under its full name."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = {
    "imagenet": IMAGENET,
    "halves": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Means and standard deviations by what the table calls them; it has others in numbers."""


@dataclass(frozen=True)
class Presentation:
    """How images are shown to published weights: resized, the middle `crop` of them, less `mean`, by `std`."""

    interpolation: str
    crop: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def settings(self) -> dict[str, Any]:
        """As JSON has it, for definitions."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}


def published_weights(arch: str) -> dict[str, str]:
    """The full name of the weights that are fetched for `arch`, and the file of the hub or URL that they come from."""
    name = names.with_tag(arch)
    source = _table().get(name, ("", ""))[0]
    return {"name": name, "source": f"{HUB}timm/{name}" if source == OFTEN else source}


def presentation(arch: str) -> Presentation | None:
    """How images are shown to the published weights of `arch`; None for what neither timm nor torchvision has."""
    if (found := _table().get(names.with_tag(arch))) is None:
        return None
    interpolation, crop, colours = found[1].split(" ", 2)
    mean, std = COLOURS[colours] if colours in COLOURS else (_numbers(part) for part in colours.split(" "))
    return Presentation(interpolation, float(crop), mean, std)


def require_published(arch: str) -> None:
    """Raise DataError where the installed library fetches the weights of `arch` from elsewhere than names say."""
    known = published_weights(arch)
    found = _source(known["name"])
    if found != known["source"]:
        what = "the installed library fetches these weights from elsewhere than the run's name says"
        fix = "install the versions of envs/, or write the table anew: python tools/network_tables.py"
        raise DataError(Problem(what, known["name"], found, known["source"], fix=fix))


def table() -> str:
    """One line for each weights, and for each network without any: full name, source, how images are shown to it."""
    import timm
    import torchvision

    versions = f"timm {timm.__version__} and torchvision {torchvision.__version__.partition('+')[0]}"
    lines = [f"# of {versions}: name, source ({OFTEN}: {HUB}timm/NAME), interpolation, crop, mean and deviation"]
    for name in sorted(names.published()):
        source = _source(name)
        shown = " ".join(_presentation(name))
        lines.append(f"{name}\t{OFTEN if source == f'{HUB}timm/{name}' else source}\t{shown}")
    return "\n".join(lines) + "\n"


@cache
def _table() -> dict[str, tuple[str, str]]:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {name: (source, shown) for name, source, shown in rows}


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _source(name: str) -> str:
    """Where the installed library fetches the weights of this full name from; empty for nowhere."""
    if name.startswith(TORCHVISION):
        weights = _of_torchvision(name)
        return str(weights.url) if weights else ""
    config = _of_timm(name)
    hub = "/".join(filter(None, [config.hf_hub_id, config.hf_hub_filename])) if config else ""
    return f"{HUB}{hub}" if hub else str(config.url or "") if config else ""


def _presentation(name: str) -> Iterator[str]:
    """Interpolation, crop, mean and standard deviation as the installed library says, and as the table has them."""
    if name.startswith(TORCHVISION):
        weights = _of_torchvision(name)
        shown = weights.transforms()
        yield shown.interpolation.value
        crop, mean, std = shown.crop_size[0] / shown.resize_size[0], tuple(shown.mean), tuple(shown.std)
    else:
        config = _of_timm(name)
        known = config.interpolation in ("bilinear", "bicubic", "nearest", "lanczos")
        yield config.interpolation if known else "bilinear"
        crop, mean, std = float(config.crop_pct or 1), tuple(config.mean), tuple(config.std)
    yield repr(crop)
    called = next((word for word, known in COLOURS.items() if known == (mean, std)), None)
    yield called or " ".join(",".join(map(repr, map(float, numbers))) for numbers in (mean, std))


def _of_timm(name: str) -> Any:
    import timm

    return timm.get_pretrained_cfg(name, allow_unregistered=True)


def _of_torchvision(name: str) -> Any:
    from torchvision.models import get_model_weights

    base, _, tag = name.removeprefix(TORCHVISION).partition(".")
    return get_model_weights(base)[tag] if tag else None
