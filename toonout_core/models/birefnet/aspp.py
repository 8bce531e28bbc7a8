"""Pyramid of deformable convolutions (BiRefNet: Zheng et al. 2024, arXiv:2401.03407)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.deform_conv import deform_conv2d, products_by_bands
from ...ops.linear import linear
from ..folding import fold_norm


class DeformableConv(nn.Module):
    """A convolution that predicts where it samples, and how much (Zhu et al. 2019)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        taps, padding = kernel * kernel, kernel // 2
        self.offset_conv = nn.Conv2d(channels_in, 2 * taps, kernel, padding=padding)
        self.modulator_conv = nn.Conv2d(channels_in, taps, kernel, padding=padding)
        self.regular_conv = nn.Conv2d(channels_in, channels_out, kernel, bias=False)

    def field(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict offsets B×2k²×H×W in pixels and factors B×k²×H×W in [0, 2], with one
        convolution.
        """
        heads = (self.offset_conv, self.modulator_conv)
        weight = torch.cat([head.weight for head in heads])
        bias = torch.cat([head.bias for head in heads if head.bias is not None])
        both = F.conv2d(x, weight, bias, padding=self.offset_conv.padding)
        split = self.offset_conv.out_channels
        return both[:, :split], 2 * torch.sigmoid(both[:, split:])

    def forward(self, x: Tensor, norm: nn.BatchNorm2d | None = None) -> Tensor:
        """B×C×H×W → B×O×H×W. A `norm` that keeps its statistics is worked into the weights."""
        weight, bias = self.regular_conv.weight, None
        if norm is not None:
            weight, bias = fold_norm(weight, None, norm)
        return deform_conv2d(x, *self.field(x), weight, bias)


class DeformableBranch(nn.Module):
    """Deformable convolution, BatchNorm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv(channels_in, channels_out, kernel)
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        if self.bn.training:
            return F.relu(self.bn(self.atrous_conv(x)), inplace=True)
        return F.relu(self.atrous_conv(x, self.bn), inplace=True)

    def by_bands(self, x: Tensor) -> Iterator[tuple[int, slice, Tensor]]:
        """Yield the result band by band: picture, pixels and values; see `products_by_bands`."""
        wide = torch.promote_types(x.dtype, torch.float32)
        offset, factors = (part.to(wide) for part in self.atrous_conv.field(x))
        weight, bias = fold_norm(self.atrous_conv.regular_conv.weight, None, self.bn)
        yield from products_by_bands(x.to(wide), offset, factors, weight, bias, "relu")


class ASPPDeformable(nn.Module):
    """Joins several branches by a 1×1 convolution: one of 1×1, one for each entry of `kernels`, and
    the mean of the map.
    """

    def __init__(self, channels: int, width: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.aspp1 = DeformableBranch(channels, width, 1)
        self.aspp_deforms = nn.ModuleList(
            DeformableBranch(channels, width, kernel) for kernel in kernels
        )
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.conv1 = nn.Conv2d(width * (2 + len(kernels)), channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """B×C×H×W → the same shape. The branches are joined one by one, to save memory."""
        branches = [self.aspp1, *self.aspp_deforms]
        *pieces, last = self.conv1.weight.chunk(len(branches) + 1, 1)
        mean = F.conv2d(self.global_avg_pool(x), last)
        if x.device.type == "cpu" and not (self.training or torch.is_grad_enabled()):
            total = self._joined_by_bands(x, mean, pieces)
        else:
            total = mean
            for branch, piece in zip(branches, pieces, strict=True):
                total = total + F.conv2d(branch(x), piece)
        return self.dropout(F.relu(self.bn1(total), inplace=True))

    def _joined_by_bands(self, x: Tensor, mean: Tensor, pieces: Sequence[Tensor]) -> Tensor:
        """Sum of the joined branches and `mean`, B×C×1×1, with channels innermost in memory.

        A band is sampled, multiplied and joined while it is in the cache. No branch is ever whole.
        """
        batch, channels, height, width = x.shape
        wide = torch.promote_types(x.dtype, torch.float32)
        total = mean.to(wide).view(batch, 1, channels).repeat(1, height * width, 1)
        branches = cast("list[DeformableBranch]", [self.aspp1, *self.aspp_deforms])
        for branch, piece in zip(branches, pieces, strict=True):
            matrix = piece.flatten(1)
            for picture, pixels, values in branch.by_bands(x):
                total[picture, pixels] += linear(values, matrix)
        return total.to(x.dtype).mT.unflatten(2, (height, width))
