"""Residual U-blocks: small U-Nets with a skip around them (U²-Net, arXiv:2005.09007, fig. 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..folding import conv_with_norm


class ConvNormReLU(nn.Module):
    """3×3 convolution with bias, BatchNorm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(channels_in, channels_out, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(conv_with_norm(self.conv_s1, self.bn_s1, x), inplace=True)


def halve(x: Tensor) -> Tensor:
    """Half the size, rounded up."""
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """To the height and width of `like`, bilinear."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class ResidualUBlock(nn.Module):
    """B×in×H×W → B×out×H×W through `depth` convolutions down and as many back up.

    Plain: a max pool before all of them but the first and the last, which is dilated by 2.
    `dilated`: no pools, dilations 1, 2, 4, 8 on the way down and 4, 2, 1 on the way up.
    """

    def __init__(
        self,
        depth: int,
        channels_in: int,
        channels_mid: int,
        channels_out: int,
        *,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.dilated = dilated
        self.rebnconvin = ConvNormReLU(channels_in, channels_out)
        for level in range(1, depth + 1):
            dilation = 2 ** (level - 1) if dilated else 2 if level == depth else 1
            first = channels_out if level == 1 else channels_mid
            self.add_module(f"rebnconv{level}", ConvNormReLU(first, channels_mid, dilation))
        for level in range(depth - 1, 0, -1):
            dilation = 2 ** (level - 1) if dilated else 1
            last = channels_out if level == 1 else channels_mid
            self.add_module(f"rebnconv{level}d", ConvNormReLU(2 * channels_mid, last, dilation))

    def forward(self, x: Tensor) -> Tensor:
        start = self.rebnconvin(x)
        x, skips = start, []
        for level in range(1, self.depth):
            x = self.get_submodule(f"rebnconv{level}")(x if level == 1 else self._down(x))
            skips.append(x)
        x = self.get_submodule(f"rebnconv{self.depth}")(x)
        for level in range(self.depth - 1, 0, -1):
            skip = skips.pop()
            x = torch.cat((enlarge(x, skip), skip), 1)
            x = self.get_submodule(f"rebnconv{level}d")(x)
        return x + start

    def _down(self, x: Tensor) -> Tensor:
        return x if self.dilated else halve(x)
