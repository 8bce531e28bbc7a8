"""CSPNeXt, the backbone of RTMDet (arXiv:2212.07784)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import ConvBlock, CSPLayer

_POOLS = 3
_POOL_PX = 5


class SpatialPyramid(nn.Module):
    """The widest surroundings of every cell: max pools of 5, 9 and 13 beside the input.

    A pool of 9 is one of 5 after one of 5, and so on.
    """

    def __init__(self, channels: int, *, eps: float) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = ConvBlock(channels, half, 1, eps=eps)
        self.conv2 = ConvBlock(half * (1 + _POOLS), channels, 1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        pooled = [self.conv1(x)]
        for _ in range(_POOLS):
            pooled.append(F.max_pool2d(pooled[-1], _POOL_PX, stride=1, padding=_POOL_PX // 2))
        return self.conv2(torch.cat(pooled, 1))


class CSPNeXt(nn.Module):
    """B×3×H×W → features of strides 8, 16, 32. H and W are multiples of 32.

    `widths`: channels of the stem and the four stages. `depths`: bottlenecks per stage.
    """

    def __init__(self, *, widths: tuple[int, ...], depths: tuple[int, ...], eps: float) -> None:
        super().__init__()
        narrow = widths[0] // 2
        self.stem = nn.Sequential(
            ConvBlock(3, narrow, 3, stride=2, eps=eps),
            ConvBlock(narrow, narrow, 3, eps=eps),
            ConvBlock(narrow, widths[0], 3, eps=eps),
        )
        self.stage1 = _stage(widths[0], widths[1], depths[0], eps=eps)
        self.stage2 = _stage(widths[1], widths[2], depths[1], eps=eps)
        self.stage3 = _stage(widths[2], widths[3], depths[2], eps=eps)
        self.stage4 = _stage(widths[3], widths[4], depths[3], last=True, eps=eps)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stage2(self.stage1(self.stem(image)))
        middle = self.stage3(fine)
        return fine, middle, self.stage4(middle)


def _stage(
    channels_in: int, channels_out: int, blocks: int, *, last: bool = False, eps: float
) -> nn.Sequential:
    layers: list[nn.Module] = [ConvBlock(channels_in, channels_out, 3, stride=2, eps=eps)]
    if last:
        layers.append(SpatialPyramid(channels_out, eps=eps))
    layers.append(
        CSPLayer(
            channels_out, channels_out, blocks=blocks, residual=not last, attention=True, eps=eps
        )
    )
    return nn.Sequential(*layers)
