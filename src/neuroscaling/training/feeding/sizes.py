"""At which size images are kept for training and resized for validation, given the size of a network's input."""

from neuroscaling.training.objectives.views import views_of
from neuroscaling.training.recipe import Recipe

# Photographs are kept larger than the network's input, as 256 is to 224.
MARGIN = 256 / 224
# The published study's own sizes before the central crop, where they are not that.
VALIDATION_RESIZE = {"efficientnet_b1": 255, "efficientnet_b2": 288}


def stored_size(recipe: Recipe, size: int) -> int:
    """Side of the squares that training images are kept as, for a network whose input has `size` pixels a side."""
    return round(size * MARGIN) if _crops(recipe, size) else size


def validation_resize(recipe: Recipe | None, arch: str, size: int) -> int:
    """Pixels to which validation images are resized before the central `size` are cut out.

    Networks that are not trained, and those that see their training images whole, see validation images whole.
    """
    if recipe is None or not _crops(recipe, size):
        return size
    return VALIDATION_RESIZE.get(arch, round(size * MARGIN))


def _crops(recipe: Recipe, size: int) -> bool:
    return any(view.crop == "random" for view in views_of(recipe, size))
