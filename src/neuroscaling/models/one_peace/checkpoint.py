"""Names of the official checkpoints of ONE-PEACE (`one-peace.pt`, `one-peace-vision.pkl`) as those of the network here.

After upstream's one_peace_vision/classification: main_ft.py and the conversion script beside it.
"""

from typing import TypeVar

T = TypeVar("T")

# Of the other modalities, and of training; any name that holds one of these words.
FOREIGN = ("text", "audio", "decoder", "mask", "logit_scale", "version")
DROPPED = ("image_proj.", "encoder_wrapper.fusion_model.image_layer_norm.")
INDEX = "rp_bucket"  # the index of relative positions, which is computed here
RENAMED = (("encoder_wrapper", "encoder"), ("fusion_model.", ""))
TABLE = ("rel_pos_table_list.0.weight", "rel_pos_table.weight")


def vision_names(tensors: dict[str, T]) -> dict[str, T]:
    """The entries of the vision branch, under this network's names; names that are these already stay."""
    return {_renamed(name): value for name, value in tensors.items() if _is_vision(name)}


def _is_vision(name: str) -> bool:
    return not (name.startswith(DROPPED) or INDEX in name or any(word in name for word in FOREIGN))


def _renamed(name: str) -> str:
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name.removeprefix("encoder.").replace(*TABLE) if "image_adapter" in name else name
