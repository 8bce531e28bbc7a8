"""EfficientNet-Lite without its classifier: features of five sizes, from weights for ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.autocast import autocasts
from ...ops.fused_conv import conv_relu
from ..folding import fold_norm

STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage, the same in every size
TAPS = (0, 1, 2, 4, 6)  # the last stages at strides 2, 4, 8, 16 and 32


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of `channels`, with `kernel`×`kernel` depthwise convolutions."""

    channels: int
    depth: int
    kernel: int
    expand: int


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, if `active`, ReLU6. Stride 2 pads as TensorFlow does (SAME).

    BatchNorm that keeps its statistics is worked into the convolution.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        # even sides at stride 2: kernel - 2 rows are missing, the odd one at the end
        before = (kernel - 2) // 2
        after = kernel - 2 - before
        self.beside = (before, after, before, after) if stride == 2 else None
        self.conv = nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride,
            padding=0 if self.beside else kernel // 2,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.03)
        self.active = active

    def forward(self, x: Tensor, *, padded: bool = False) -> Tensor:
        if self.beside is not None and not padded:
            x = F.pad(x, self.beside)
        if self.conv.groups > 1 and autocasts(x.device.type):
            # the CPU's backward pass of depthwise convolutions is 5 to 10 times slower in bf16
            with torch.autocast(x.device.type, enabled=False):
                return self._normed(x.float()).to(x.dtype)
        return self._normed(x)

    def _normed(self, x: Tensor) -> Tensor:
        conv = self.conv
        if self.norm.training:
            out = self.norm(conv(x))
            return F.relu6(out, inplace=True) if self.active else out
        weight, bias = fold_norm(conv.weight, conv.bias, self.norm)
        if self.active:
            return conv_relu(x, weight, bias, conv.stride, conv.padding, conv.groups)
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)


class InvertedBottleneck(nn.Module):
    """1×1 to `expand` times the channels, depthwise, 1×1 back; added to its input where it fits."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expand: int
    ) -> None:
        super().__init__()
        wide = channels_in * expand
        self.expand = ConvNorm(channels_in, wide, 1) if expand > 1 else None
        self.depthwise = ConvNorm(wide, wide, kernel, stride=stride, groups=wide)
        self.project = ConvNorm(wide, channels_out, 1, active=False)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        beside = self.depthwise.beside
        if self.expand is None:
            y = self.depthwise(x)
        elif beside is None or self.training or torch.is_grad_enabled():
            y = self.depthwise(self.expand(x))
        else:
            # padding is cheaper before there are more channels
            y = self.expand(F.pad(x, beside))
            y = self.depthwise(_clear_frame_(y, beside), padded=True)
        y = self.project(y)
        return x + y if self.residual else y


def _clear_frame_(x: Tensor, beside: tuple[int, int, int, int]) -> Tensor:
    """Set the outermost columns and rows of B×C×H×W to 0: left, right, top, bottom, in place."""
    left, right, top, bottom = beside
    for dim, count, end in ((3, left, 0), (3, right, 1), (2, top, 0), (2, bottom, 1)):
        x.narrow(dim, (x.shape[dim] - count) * end, count).zero_()
    return x


class Encoder(nn.Module):
    """B×3×H×W, normalised → features at strides 2, 4, 8, 16, 32. H and W are multiples of 32.

    `channels`: of these five.
    """

    def __init__(self, stem: int, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.stem = ConvNorm(3, stem, 3, stride=2)
        self.stages = nn.ModuleList()
        width = stem
        for stage, stride in zip(stages, STRIDES, strict=True):
            blocks: list[nn.Module] = []
            for index in range(stage.depth):
                blocks.append(
                    InvertedBottleneck(
                        width, stage.channels, stage.kernel, 1 if index else stride, stage.expand
                    )
                )
                width = stage.channels
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(stages[tap].channels for tap in TAPS)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in TAPS:
                features.append(x)
        return features
