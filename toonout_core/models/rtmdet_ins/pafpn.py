"""Path aggregation over the pyramid (PANet, arXiv:1803.01534) with CSPNeXt's blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import ConvBlock, CSPLayer


class CSPNeXtPAFPN(nn.Module):
    """Features of strides 8, 16, 32 → the same strides, all of `channels_out` channels."""

    def __init__(
        self, *, widths: tuple[int, int, int], channels_out: int, blocks: int, eps: float
    ) -> None:
        super().__init__()

        def csp(channels_in: int, channels: int) -> CSPLayer:
            return CSPLayer(
                channels_in, channels, blocks=blocks, residual=False, attention=False, eps=eps
            )

        fine, middle, coarse = widths
        self.reduce_layers = nn.ModuleList(
            (ConvBlock(coarse, middle, 1, eps=eps), ConvBlock(middle, fine, 1, eps=eps))
        )
        self.top_down_blocks = nn.ModuleList((csp(2 * middle, middle), csp(2 * fine, fine)))
        self.downsamples = nn.ModuleList(
            (
                ConvBlock(fine, fine, 3, stride=2, eps=eps),
                ConvBlock(middle, middle, 3, stride=2, eps=eps),
            )
        )
        self.bottom_up_blocks = nn.ModuleList((csp(2 * fine, middle), csp(2 * middle, coarse)))
        self.out_convs = nn.ModuleList(
            ConvBlock(width, channels_out, 3, eps=eps) for width in widths
        )

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        fine, middle, coarse = features
        coarse = self.reduce_layers[0](coarse)
        middle = self.top_down_blocks[0](torch.cat((_double(coarse), middle), 1))
        middle = self.reduce_layers[1](middle)
        fine = self.top_down_blocks[1](torch.cat((_double(middle), fine), 1))
        middle = self.bottom_up_blocks[0](torch.cat((self.downsamples[0](fine), middle), 1))
        coarse = self.bottom_up_blocks[1](torch.cat((self.downsamples[1](middle), coarse), 1))
        return tuple(
            conv(level) for conv, level in zip(self.out_convs, (fine, middle, coarse), strict=True)
        )


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
