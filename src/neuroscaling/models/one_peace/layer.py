"""A transformer layer of ONE-PEACE: sub-layer norms inside attention and feed-forward, and scaled residuals."""

import torch
from torch import nn
from torch.nn import functional

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
        split = [part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)]
        mixed = functional.scaled_dot_product_attention(*split, attn_mask=bias.to(query.dtype))
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


class Layer(nn.Module):
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
