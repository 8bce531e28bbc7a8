"""Swin Transformer v1 (Liu et al. 2021, arXiv:2103.14030), as the backbone of BiRefNet.

Origin of the names: github.com/microsoft/Swin-Transformer (MIT). Own implementation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.linear import linear
from .attention import WindowAttention
from .windows import Chunk, plan_windows

_CHUNK_BYTES = {"cpu": 48 << 20}  # intermediate values of a block held at a time
_CHUNK_BYTES_ELSEWHERE = 128 << 20
_KEPT_PLANS = 8


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        hidden = linear(x, self.fc1.weight, self.fc1.bias, "gelu")
        return linear(hidden, self.fc2.weight, self.fc2.bias)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016, arXiv:1603.09382): skips a branch for whole pictures."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, batch: int, like: Tensor) -> Tensor | None:
        """Factor of the branch per picture; None: 1 for all."""
        if not self.training or self.rate == 0:
            return None
        return torch.bernoulli(like.new_full((batch,), 1 - self.rate)) / (1 - self.rate)


def _add(x: Tensor, branch: Tensor, factor: Tensor | None, picture: Tensor | None) -> Tensor:
    if factor is not None and picture is not None:
        branch = branch * factor.index_select(0, picture).unsqueeze(1)
    return x + branch


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, dim: int, heads: int, window: int, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, chunks: tuple[Chunk, ...]) -> Tensor:
        """x: B×H×W×C. Each token is read once and written once, in window order."""
        batch, height, width, dim = x.shape
        tokens = x.reshape(-1, dim)
        out = torch.empty_like(tokens)
        factors = (self.drop_path(batch, x), self.drop_path(batch, x))
        bias = self.attn.bias()
        for chunk in chunks:
            rows = tokens.index_select(0, chunk.rows)
            picture = None if factors[0] is None else chunk.rows // (height * width)
            rows = _add(rows, self.attn(self.norm1(rows), chunk, bias), factors[0], picture)
            rows = _add(rows, self.mlp(self.norm2(rows)), factors[1], picture)
            out.index_copy_(0, chunk.rows, rows)
        return out.view_as(x)


class PatchMerging(nn.Module):
    """Halves height and width (rounding up), doubles channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: B×H×W×C → B×⌈H/2⌉×⌈W/2⌉×2C; the four neighbours column by column."""
        batch, height, width, dim = x.shape
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.view(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, dim)
        return linear(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)), self.reduction.weight)


class SwinStage(nn.Module):
    """Blocks of one resolution, windows of every other one shifted by half a window."""

    def __init__(
        self,
        dim: int,
        heads: int,
        window: int,
        mlp_ratio: float,
        drop_path: list[float],
        last: bool,
    ) -> None:
        super().__init__()
        self.window = window
        self.shifts = (0, window // 2)
        self.blocks = nn.ModuleList(
            SwinBlock(dim, heads, window, mlp_ratio, rate) for rate in drop_path
        )
        self.downsample = None if last else PatchMerging(dim)
        self._values_per_token = int(dim * (5 + 2 * mlp_ratio))
        self._plans: dict[tuple[Any, ...], tuple[Chunk, ...]] = {}

    def _apply(self, *args: Any, **kwargs: Any) -> SwinStage:
        self._plans.clear()
        return super()._apply(*args, **kwargs)

    def _plan(self, x: Tensor, shift: int) -> tuple[Chunk, ...]:
        batch, height, width, _ = x.shape
        limit = _CHUNK_BYTES.get(x.device.type, _CHUNK_BYTES_ELSEWHERE)
        tokens = max(limit // (self._values_per_token * x.element_size()), 1)
        if torch.is_grad_enabled():
            tokens = batch * height * width * 4
        key = (batch, height, width, shift, tokens, x.device)
        if key not in self._plans:
            while len(self._plans) >= _KEPT_PLANS:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = plan_windows(
                batch, height, width, self.window, shift, tokens, x.device
            )
        return self._plans[key]

    def forward(self, x: Tensor) -> Tensor:
        """x: B×H×W×C, all blocks; without the downsampling."""
        for index, block in enumerate(self.blocks):
            x = block(x, self._plan(x, self.shifts[index % 2]))
        return x


class PatchEmbed(nn.Module):
    """Patches of 4×4 pixels to tokens: B×3×H×W → B×⌈H/4⌉×⌈W/4⌉×C."""

    def __init__(self, dim: int, patch: int = 4) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        image = F.pad(image, (0, -width % self.patch, 0, -height % self.patch))
        x = self.proj(image.contiguous(memory_format=torch.channels_last))
        return self.norm(x.permute(0, 2, 3, 1))


class SwinTransformer(nn.Module):
    """Four stages; B×3×H×W → feature maps of 1/4, 1/8, 1/16, 1/32 of the size, norm applied."""

    def __init__(
        self,
        *,
        dim: int,
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        window: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(dim)
        rates = [drop_path * index / max(sum(depths) - 1, 1) for index in range(sum(depths))]
        self.layers = nn.ModuleList()
        for level, depth in enumerate(depths):
            start = sum(depths[:level])
            last = level == len(depths) - 1
            width = dim * 2**level
            self.layers.append(
                SwinStage(
                    width, heads[level], window, mlp_ratio, rates[start : start + depth], last
                )
            )
            self.add_module(f"norm{level}", nn.LayerNorm(width))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps are B×C×H×W, finest first, channels innermost in memory."""
        x = self.patch_embed(image)
        maps: list[Tensor] = []
        for level, stage in enumerate(cast("Iterable[SwinStage]", self.layers)):
            x = stage(x)
            maps.append(getattr(self, f"norm{level}")(x).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                x = stage.downsample(x)
        return maps
