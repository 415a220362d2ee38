"""ONE-PEACE's vision branch is built as a network and reads its official checkpoints.

Wang and others 2023, "ONE-PEACE: Exploring one general representation model toward unlimited modalities"
(arXiv:2305.11172). The architecture and its names follow OFA-Sys/ONE-PEACE, one_peace_vision/classification, whose code
and weights are under the Apache License 2.0.

After upstream's one_peace_vision/classification: main_ft.py and the conversion script beside it.
"""

from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional

CLASS_ROWS = 3  # after the offsets: class token to patch, patch to class token, class token to itself


def table_rows(side: int) -> int:
    """Rows of the table for a grid of `side` x `side` patches: (2 side - 1)^2 offsets, and three of the class token."""
    return (2 * side - 1) ** 2 + CLASS_ROWS


def relative_index(side: int) -> torch.Tensor:
    """Return the row of the table for each query and key, int64 (side^2 + 1, side^2 + 1), the class token first.

    Patches: (dy + side - 1) (2 side - 1) + (dx + side - 1) for dy, dx of the query minus those of the key.
    """
    place = torch.arange(side * side)
    y, x = place // side, place % side
    down, across = (axis[:, None] - axis[None, :] + side - 1 for axis in (y, x))
    index = torch.empty(side * side + 1, side * side + 1, dtype=torch.int64)
    index[1:, 1:] = down * (2 * side - 1) + across
    to_patch, from_patch, itself = range(table_rows(side) - CLASS_ROWS, table_rows(side))
    index[0, 1:], index[1:, 0], index[0, 0] = to_patch, from_patch, itself
    return index


GAMMA = 1e-2


class Attention(nn.Module):
    """Self-attention whose concatenated heads are normalised before the last projection; keys have no bias."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.ln = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """tokens (b, n, width); bias (heads, n, n), added to the logits."""
        query, key, value = (project(tokens) for project in (self.q_proj, self.k_proj, self.v_proj))
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.out_proj(self.ln(mixed.transpose(1, 2).flatten(2)))


class GatedLinear(nn.Module):
    """GELU(wi_0 x) * (wi_1 x), without biases."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.wi_0 = nn.Linear(width, hidden, bias=False)
        self.wi_1 = nn.Linear(width, hidden, bias=False)
        self.act = nn.GELU()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(b, n, width) to (b, n, hidden)."""
        return self.act(self.wi_0(tokens)) * self.wi_1(tokens)


class TransformerLayer(nn.Module):
    """x + gamma_1 attention(norm(x)), then x + gamma_2 feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = Attention(width, heads)
        self.gamma_1 = nn.Parameter(torch.full((width,), GAMMA))
        self.final_layer_norm = nn.LayerNorm(width)
        # The official names count a dropout, which is none here, as the second of four.
        self.image_ffn = nn.Sequential(
            GatedLinear(width, hidden), nn.Identity(), nn.LayerNorm(hidden), nn.Linear(hidden, width)
        )
        self.gamma_2 = nn.Parameter(torch.full((width,), GAMMA))

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """tokens (b, n, width) to the same shape; bias (heads, n, n)."""
        tokens = tokens + self.gamma_1 * self.self_attn(self.self_attn_layer_norm(tokens), bias)
        return tokens + self.gamma_2 * self.image_ffn(self.final_layer_norm(tokens))


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of a map (b, c, h, w)."""

    def __init__(self, channels: int):
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """The same shape."""
        return self.layer_norm(maps.movedim(1, 3)).movedim(3, 1)


class ImageAdapter(nn.Module):
    """Pixels to tokens in three convolutions, with a class token, learned positions, and the biases of attention."""

    def __init__(self, width: int, heads: int, side: int):
        super().__init__()
        narrow = width // 4
        self.embed_images = nn.Sequential(
            nn.Conv2d(3, narrow, 4, stride=4),
            ChannelNorm(narrow),
            nn.GELU(),
            nn.Conv2d(narrow, narrow, 2, stride=2),
            ChannelNorm(narrow),
            nn.GELU(),
            nn.Conv2d(narrow, width, 2, stride=2),
        )
        self.cls_embedding = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.pos_embed = nn.Parameter(torch.randn(side * side + 1, width) * width**-0.5)
        self.rel_pos_table = nn.Embedding(table_rows(side), heads)
        nn.init.zeros_(self.rel_pos_table.weight)
        self.register_buffer("rel_pos_index", relative_index(side), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (b, 3, 16 side, 16 side) to tokens (b, side^2 + 1, width) and biases (heads, n, n)."""
        patches = self.embed_images(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_embedding.expand(len(images), -1, -1), patches], dim=1) + self.pos_embed
        bias = functional.embedding(self.get_buffer("rel_pos_index"), self.rel_pos_table.weight)
        return tokens, bias.permute(2, 0, 1)


class Encoder(nn.Module):
    """The layers, one after the other; the published branch has no norm after the last."""

    def __init__(self, width: int, heads: int, hidden: int, depth: int):
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(width, heads, hidden) for _ in range(depth))

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """tokens (b, n, width) to the same shape."""
        for layer in self.layers:
            tokens = layer(tokens, bias)
        return tokens


class PatchMean(nn.Module):
    """The mean of the patches' tokens, without the class token."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(b, n, width) to (b, width)."""
        return tokens[:, 1:].mean(1)


class OnePeaceVision(nn.Module):
    """The published size by default, 1,514,569,056 parameters without a head, for images of 256 x 256 pixels.

    num_classes: outputs of a linear head on the normalised mean of the patches; 0 for none. side: patches of 16 pixels
    along each side; the number is fixed, since upstream's own interpolation of positions is of no use for others.
    """

    output_fmt = "NCHW"
    num_prefix_tokens = 1

    def __init__(
        self,
        num_classes: int = 0,
        width: int = 1536,
        heads: int = 24,
        hidden: int = 6144,
        depth: int = 40,
        side: int = 16,
    ):
        super().__init__()
        self.num_classes, self.num_features = num_classes, width
        self.image_adapter = ImageAdapter(width, heads, side)
        self.encoder = Encoder(width, heads, hidden, depth)
        self.pool = PatchMean()
        self.fc_norm = nn.LayerNorm(width) if num_classes else nn.Identity()
        self.head = nn.Linear(width, num_classes) if num_classes else nn.Identity()

    def get_classifier(self) -> nn.Module:
        """Return the head, as timm's models name theirs."""
        return self.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, 3, 16 side, 16 side) to logits (b, classes), or without classes to (b, width)."""
        return self.head(self.fc_norm(self.pool(self.encoder(*self.image_adapter(images)))))


T = TypeVar("T")

# Of the other modalities, and of training; any name that holds one of these words.
FOREIGN = ("text", "audio", "decoder", "mask", "logit_scale", "version")
DROPPED = ("image_proj.", "encoder_wrapper.fusion_model.image_layer_norm.")
INDEX_BUFFER = "rp_bucket"  # the index of relative positions, which is computed here
RENAMED = (("encoder_wrapper", "encoder"), ("fusion_model.", ""))
TABLE = ("rel_pos_table_list.0.weight", "rel_pos_table.weight")


def vision_names(tensors: dict[str, T]) -> dict[str, T]:
    """Return the entries of the vision branch, under this network's names; names that are these already stay."""
    return {_renamed(name): value for name, value in tensors.items() if _is_vision(name)}


def _is_vision(name: str) -> bool:
    return not (name.startswith(DROPPED) or INDEX_BUFFER in name or any(word in name for word in FOREIGN))


def _renamed(name: str) -> str:
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name.removeprefix("encoder.").replace(*TABLE) if "image_adapter" in name else name
