"""To which size validation images are resized, given the size of a network's input."""

from neuroscaling.training.objectives.views import MARGIN, has_random_crops
from neuroscaling.training.recipe import Recipe

# The published study's own sizes before the central crop, where they are not that of the margin.
VALIDATION_RESIZE = {"efficientnet_b1": 255, "efficientnet_b2": 288}


def validation_resize(recipe: Recipe | None, arch: str, size: int) -> int:
    """Pixels to which validation images are resized before the central `size` are cut out.

    Networks that are not trained, and those that see their training images whole, see validation images whole.
    """
    if recipe is None or not has_random_crops(recipe, size):
        return size
    return VALIDATION_RESIZE.get(arch, round(size * MARGIN))
