"""Window attention with relative position bias (Liu et al. 2021, arXiv:2103.14030, eq. 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.linear import linear
from .windows import Chunk, shift_masks


def relative_position_index(window: int) -> Tensor:
    """(Δy + w − 1)·(2w − 1) + (Δx + w − 1), Δ = query − key: w² × w²."""
    y = torch.arange(window).repeat_interleave(window)
    x = torch.arange(window).repeat(window)
    dy = y.unsqueeze(1) - y.unsqueeze(0) + window - 1
    dx = x.unsqueeze(1) - x.unsqueeze(0) + window - 1
    return dy * (2 * window - 1) + dx


class WindowAttention(nn.Module):
    """Self-attention within each window."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.shift = shift
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self._bias: Tensor | None = None
        self._bias_of: tuple[Any, ...] = ()

    def _apply(self, *args: Any, **kwargs: Any) -> WindowAttention:
        self._bias = None
        return super()._apply(*args, **kwargs)

    def train(self, mode: bool = True) -> WindowAttention:
        self._bias = None
        return super().train(mode)

    def _make_bias(self, dtype: torch.dtype) -> Tensor:
        table = self.relative_position_bias_table
        places = self.window * self.window
        # Not the buffer of that name: a damaged one would read outside of the table.
        index = relative_position_index(self.window).to(table.device)
        bias = table[index.flatten()].view(1, places, places, self.heads)
        bias = bias.permute(0, 3, 1, 2)
        if self.shift:
            bias = bias + shift_masks(self.window, self.shift).to(table).unsqueeze(1)
        return bias.to(dtype).contiguous()

    def bias(self, dtype: torch.dtype) -> Tensor:
        """Position bias plus shift mask per kind of window: 1 or 4 × heads × w² × w².

        Kept until the table changes, unless the table is being trained.
        """
        table = self.relative_position_bias_table
        if torch.is_grad_enabled() and table.requires_grad:
            return self._make_bias(dtype)
        version = -1 if table.is_inference() else table._version
        state = (id(table), table.data_ptr(), version, table.device, dtype)
        if self._bias is None or self._bias_of != state:
            # Normal tensors: one made in inference mode could never take part in training.
            with torch.inference_mode(False), torch.no_grad():
                self._bias = self._make_bias(dtype)
            self._bias_of = state
        return self._bias

    def forward(self, tokens: Tensor, chunk: Chunk) -> Tensor:
        """tokens: T×C, the real tokens of the chunk in window order. Returns T×C.

        Padding enters the reference as zero tokens after the norm, so its q, k and v are the bias.
        """
        places = self.window * self.window
        qkv = linear(tokens, self.qkv.weight, self.qkv.bias)
        if chunk.slots is not None:
            padding = self.qkv.bias.to(qkv.dtype).expand(chunk.windows * places, -1)
            qkv = padding.index_copy(0, chunk.slots, qkv)
        q, k, v = qkv.view(chunk.windows, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.bias(qkv.dtype)
        mixed: list[Tensor] = []
        start = 0
        for kind, count in chunk.kinds:
            part = slice(start, start + count)
            result = F.scaled_dot_product_attention(
                q[part], k[part], v[part], attn_mask=bias[kind : kind + 1]
            )
            mixed.append(result.transpose(1, 2).reshape(count * places, -1))
            start += count
        out = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
        if chunk.slots is not None:
            out = out.index_select(0, chunk.slots)
        return linear(out, self.proj.weight, self.proj.bias)
