"""ONE-PEACE's vision branch as a network: images in, tokens of each layer, and logits where there are classes."""

import torch
from torch import nn
from torch.nn import functional

from neuroscaling.models.one_peace.layer import Layer
from neuroscaling.models.one_peace.positions import relative_index, table_rows

PATCH = 16


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
        bias = functional.embedding(self.rel_pos_index, self.rel_pos_table.weight)
        return tokens, bias.permute(2, 0, 1)


class Encoder(nn.Module):
    """The layers, one after the other; the published branch has no norm after the last."""

    def __init__(self, width: int, heads: int, hidden: int, depth: int):
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, hidden) for _ in range(depth))

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
        """The head, as timm's models name theirs."""
        return self.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, 3, 16 side, 16 side) to logits (b, classes), or without classes to (b, width)."""
        return self.head(self.fc_norm(self.pool(self.encoder(*self.image_adapter(images)))))
