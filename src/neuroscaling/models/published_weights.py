"""Where timm and torchvision fetch published weights from: what tells them apart in names. Light: no torch, no timm.

`python -m neuroscaling.models.published_weights` writes `published_weights.txt` anew; do so when either is upgraded.
"""

from functools import cache
from pathlib import Path

from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path
from neuroscaling.models import names
from neuroscaling.models.names import TORCHVISION

PATH = Path(__file__).with_suffix(".txt")
HUB = "hf-hub:"


def published_weights(arch: str) -> dict[str, str]:
    """The full name of the weights that are fetched for `arch`, and the file of the hub or URL that they come from."""
    name = names.with_tag(arch)
    return {"name": name, "source": _exceptions().get(name, f"{HUB}timm/{name}")}


def require_published(arch: str) -> None:
    """Raise DataError where the installed library fetches the weights of `arch` from elsewhere than names say."""
    known = published_weights(arch)
    found = _source(known["name"])
    if found != known["source"]:
        what = "the installed library fetches these weights from elsewhere than the run's name says"
        fix = "install the versions of envs/, or write the table anew: python -m neuroscaling.models.published_weights"
        raise DataError(Problem(what, known["name"], found, known["source"], fix=fix))


def table() -> str:
    """One line for each weights that don't come from where timm has most of its own: full name and source."""
    import timm
    import torchvision

    versions = f"timm {timm.__version__} and torchvision {torchvision.__version__.partition('+')[0]}"
    lines = [f"# weights of {versions} that are not {HUB}timm/NAME: name, source"]
    sources = {name: _source(name) for name in names.published()}
    lines += [f"{name}\t{source}" for name, source in sorted(sources.items()) if source != f"{HUB}timm/{name}"]
    return "\n".join(lines) + "\n"


@cache
def _exceptions() -> dict[str, str]:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def _source(name: str) -> str:
    """Where the installed library fetches the weights of this full name from; empty for nowhere."""
    if name.startswith(TORCHVISION):
        from torchvision.models import get_model_weights

        base, _, tag = name.removeprefix(TORCHVISION).partition(".")
        return str(get_model_weights(base)[tag].url)
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None:
        return ""
    hub = "/".join(filter(None, [config.hf_hub_id, config.hf_hub_filename]))
    return f"{HUB}{hub}" if hub else str(config.url or "")


if __name__ == "__main__":
    with atomic_path(PATH) as temporary:
        temporary.write_text(table(), encoding="utf-8")
