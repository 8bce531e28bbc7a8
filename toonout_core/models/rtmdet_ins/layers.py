"""Blocks that backbone, neck and head share (RTMDet, arXiv:2212.07784, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..folding import conv_with_norm


class ConvBlock(nn.Module):
    """Convolution without bias, BatchNorm, SiLU; `conv` may be shared with other blocks."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        eps: float,
        stride: int = 1,
        groups: int = 1,
        conv: nn.Conv2d | None = None,
    ) -> None:
        super().__init__()
        self.conv = conv or nn.Conv2d(
            channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(channels_out, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(conv_with_norm(self.conv, self.bn, x), inplace=True)


class SeparableConv(nn.Module):
    """Depthwise 5×5, then pointwise."""

    def __init__(self, channels: int, *, eps: float) -> None:
        super().__init__()
        self.depthwise_conv = ConvBlock(channels, channels, 5, groups=channels, eps=eps)
        self.pointwise_conv = ConvBlock(channels, channels, 1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise_conv(self.depthwise_conv(x))


class Bottleneck(nn.Module):
    """3×3 and a separable 5×5 convolution; with `residual`, added to the input."""

    def __init__(self, channels: int, *, residual: bool, eps: float) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels, 3, eps=eps)
        self.conv2 = SeparableConv(channels, eps=eps)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.conv1(x))
        return out + x if self.residual else out


class ChannelAttention(nn.Module):
    """Weighs every channel by a hard sigmoid of the global means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.fc(F.adaptive_avg_pool2d(x, 1)))


class CSPLayer(nn.Module):
    """Half of the channels through `blocks` bottlenecks, half past them (CSPNet, 1911.11929)."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        blocks: int,
        residual: bool,
        attention: bool,
        eps: float,
    ) -> None:
        super().__init__()
        half = channels_out // 2
        self.main_conv = ConvBlock(channels_in, half, 1, eps=eps)
        self.short_conv = ConvBlock(channels_in, half, 1, eps=eps)
        self.final_conv = ConvBlock(2 * half, channels_out, 1, eps=eps)
        self.blocks = nn.Sequential(
            *(Bottleneck(half, residual=residual, eps=eps) for _ in range(blocks))
        )
        self.attention = ChannelAttention(2 * half) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat((self.blocks(self.main_conv(x)), self.short_conv(x)), 1)
        if self.attention is not None:
            joined = self.attention(joined)
        return self.final_conv(joined)
