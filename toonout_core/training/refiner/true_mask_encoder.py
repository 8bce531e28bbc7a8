"""Learn features of true masks, which the features of a refiner are trained to equal.

X. Qin and others, arXiv:2203.03041, section 4.1: ground truth encoder, feature synchronisation.
Tensors are named as in published files, where the prefix is `gt_encoder.`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.isnet import ISNet
from ...models.isnet.blocks import ResidualUBlock, enlarge, halve

Described = tuple[list[Tensor], list[Tensor]]


class _Halving(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class TrueMaskEncoder(nn.Module):
    """B×1×H×W → six maps of logits, B×1×H×W, and the six features that they are read from.

    The features have the shapes of those of `ISNet(width=width)`, finest first.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv_in = _Halving(quarter)
        self.stage1 = ResidualUBlock(7, quarter, quarter, width)
        self.stage2 = ResidualUBlock(6, width, quarter, width)
        self.stage3 = ResidualUBlock(5, width, half, 2 * width)
        self.stage4 = ResidualUBlock(4, 2 * width, half, 4 * width)
        self.stage5 = ResidualUBlock(4, 4 * width, width, 8 * width, dilated=True)
        self.stage6 = ResidualUBlock(4, 8 * width, width, 8 * width, dilated=True)
        for level, multiple in enumerate((1, 1, 2, 4, 8, 8), start=1):
            self.add_module(f"side{level}", nn.Conv2d(multiple * width, 1, 3, padding=1))

    def forward(self, mask: Tensor) -> Described:
        x = self.conv_in(mask)
        features: list[Tensor] = []
        for level in range(1, 7):
            x = self.get_submodule(f"stage{level}")(x if level == 1 else halve(x))
            features.append(x)
        logits = [
            enlarge(self.get_submodule(f"side{level}")(feature), mask)
            for level, feature in enumerate(features, start=1)
        ]
        return logits, features


class DescribingRefiner(nn.Module):
    """A refiner whose forward pass also returns its features, so that gradients are averaged."""

    def __init__(self, network: ISNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Described:
        features = self.network.features(image)
        return self.network.sides(features, image), features


def in_float(described: Described) -> tuple[list[Tensor], list[Tensor]]:
    """Logits and features in float32, for losses outside of autocast."""
    logits, features = described
    return [x.to(torch.float32) for x in logits], [x.to(torch.float32) for x in features]
