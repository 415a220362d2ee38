"""timm's models in one small file, so that a name can be checked without importing torch.

"""

from pathlib import Path

from neuroscaling.files import atomic_path

PATH = Path(__file__).with_name("timm_names.txt")


def table() -> str:
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
