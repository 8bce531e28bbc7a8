"""U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) that predicts alpha from RGB."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _convolution(channels_in: int, channels_out: int, separable: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    if separable:
        layers += [
            nn.Conv2d(channels_in, channels_in, 5, padding=2, groups=channels_in, bias=False),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
        ]
    else:
        layers.append(nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False))
    return nn.Sequential(*layers, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class DoubleConv(nn.Module):
    """Two convolutions, each with BatchNorm and ReLU."""

    def __init__(self, channels_in: int, channels_out: int, separable: bool) -> None:
        super().__init__()
        self.conv1 = _convolution(channels_in, channels_out, separable)
        self.conv2 = _convolution(channels_out, channels_out, separable)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class UNet(nn.Module):
    """B×3×H×W, normalised → logits B×1×H×W. H and W are multiples of `patch`·2^(levels − 1).

    `widths`: channels per level, finest first. `patch`: the picture enters as patch×patch blocks of
    pixels (pixel unshuffle), and logits leave the same way: `patch`² fewer positions to convolve.
    `separable`: depthwise 5×5 and pointwise convolutions in place of 3×3.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512, 1024),
        patch: int = 1,
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(3 * patch * patch, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            DoubleConv(widths[max(level - 1, 0)], width, separable)
            for level, width in enumerate(widths)
        )
        self.decoder = nn.ModuleList(
            DoubleConv(widths[level] + widths[level + 1], widths[level], separable)
            for level in range(len(widths) - 1)
        )
        self.head = nn.Conv2d(widths[0], patch * patch, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(F.pixel_unshuffle(image, self.patch))
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for level in reversed(range(len(self.decoder))):
            skip = skips[level]
            up = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = self.decoder[level](torch.cat((skip, up), 1))
        return F.pixel_shuffle(self.head(x), self.patch)
