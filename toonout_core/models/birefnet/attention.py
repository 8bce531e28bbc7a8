"""Window attention with relative position bias (Liu et al. 2021, arXiv:2103.14030, eq. 4)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.linear import linear
from .windows import Chunk


def relative_position_index(window: int) -> Tensor:
    """(Δy + w − 1)·(2w − 1) + (Δx + w − 1), Δ = query − key: w² × w²."""
    y = torch.arange(window).repeat_interleave(window)
    x = torch.arange(window).repeat(window)
    dy = y.unsqueeze(1) - y.unsqueeze(0) + window - 1
    dx = x.unsqueeze(1) - x.unsqueeze(0) + window - 1
    return dy * (2 * window - 1) + dx


@cache
def _places(window: int, device: torch.device) -> Tensor:
    """Return that index in one row, on a device.

    It is a normal tensor: one of inference mode could take no part in training.
    """
    with torch.inference_mode(False), torch.device("cpu"):
        return relative_position_index(window).flatten().to(device)


class WindowAttention(nn.Module):
    """Self-attention within each window."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def bias(self) -> Tensor:
        """Return the position bias, heads × w² × w².

        It is made anew for each picture: kept, those of a Swin-L would fill 35 MB.
        """
        table = self.relative_position_bias_table
        # Not the buffer of that name: a damaged one would read outside of the table.
        bias = table.index_select(0, _places(self.window, table.device))
        return bias.mT.reshape(self.heads, self.window**2, self.window**2)

    def forward(self, tokens: Tensor, chunk: Chunk, bias: Tensor) -> Tensor:
        """tokens: T×C, the real tokens of the chunk in window order. Returns T×C.

        Padding enters the reference as zero tokens after the norm, so its q, k and v are the bias.
        """
        places = self.window * self.window
        qkv = linear(tokens, self.qkv.weight, self.qkv.bias)
        if chunk.slots is not None:
            padding = self.qkv.bias.to(qkv.dtype).expand(chunk.windows * places, -1)
            qkv = padding.index_copy(0, chunk.slots, qkv)
        q, k, v = qkv.view(chunk.windows, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed: list[Tensor] = []
        start = 0
        for mask, count in chunk.kinds:
            part = slice(start, start + count)
            told = (bias if mask is None else bias + mask).to(qkv.dtype)
            result = F.scaled_dot_product_attention(q[part], k[part], v[part], attn_mask=told[None])
            mixed.append(result.transpose(1, 2).reshape(count * places, -1))
            start += count
        out = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
        if chunk.slots is not None:
            out = out.index_select(0, chunk.slots)
        return linear(out, self.proj.weight, self.proj.bias)
