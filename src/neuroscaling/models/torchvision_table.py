"""torchvision's classifiers in one small file, so that a name can be checked without importing torch.

"""

from pathlib import Path

from neuroscaling.files import atomic_path

PATH = Path(__file__).with_name("torchvision_names.txt")


def table() -> str:
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
