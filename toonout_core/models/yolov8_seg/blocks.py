"""The blocks of YOLOv8: convolution, split bottlenecks (C2f), pooled pyramid (SPPF), prototypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNormSiLU(nn.Module):
    """Convolution without bias, BatchNorm, SiLU; keeps the size, or divides it by `stride`."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(channels_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Two 3×3 convolutions, `residual` or not."""

    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.cv1 = ConvNormSiLU(channels, channels, 3)
        self.cv2 = ConvNormSiLU(channels, channels, 3)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.cv1(x))
        return x + y if self.residual else y


class SplitBottlenecks(nn.Module):
    """One half passes, the other goes through `depth` bottlenecks; all that they give is joined."""

    def __init__(self, channels_in: int, channels_out: int, depth: int, residual: bool) -> None:
        super().__init__()
        half = channels_out // 2
        self.cv1 = ConvNormSiLU(channels_in, 2 * half, 1)
        self.cv2 = ConvNormSiLU((2 + depth) * half, channels_out, 1)
        self.m = nn.ModuleList(Bottleneck(half, residual) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            parts.append(block(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class PooledPyramid(nn.Module):
    """The map beside its maxima over 5×5, 9×9 and 13×13 (three 5×5 pools in a row)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = ConvNormSiLU(channels, channels // 2, 1)
        self.cv2 = ConvNormSiLU(channels // 2 * 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.cv1(x)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 5, stride=1, padding=2))
        return self.cv2(torch.cat(maps, 1))


class Prototypes(nn.Module):
    """Masks of which every instance's mask is a weighted sum, at twice the resolution."""

    def __init__(self, channels_in: int, channels_mid: int, count: int) -> None:
        super().__init__()
        self.cv1 = ConvNormSiLU(channels_in, channels_mid, 3)
        self.upsample = nn.ConvTranspose2d(channels_mid, channels_mid, 2, stride=2)
        self.cv2 = ConvNormSiLU(channels_mid, channels_mid, 3)
        self.cv3 = ConvNormSiLU(channels_mid, count, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(self.cv2(self.upsample(self.cv1(x))))


def tower(channels_in: int, channels_mid: int, channels_out: int) -> nn.Sequential:
    """Two 3×3 convolutions and a pointwise one with bias."""
    return nn.Sequential(
        ConvNormSiLU(channels_in, channels_mid, 3),
        ConvNormSiLU(channels_mid, channels_mid, 3),
        nn.Conv2d(channels_mid, channels_out, 1),
    )
