"""IS-Net (Qin et al. 2022, Highly Accurate Dichotomous Image Segmentation, arXiv:2203.03041)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..folding import laid_out
from .blocks import ResidualUBlock, enlarge, halve


class ISNet(nn.Module):
    """B×C×H×W in [0, 1] → logits B×1×H×W of any H and W.

    `channels_in`: 3, a picture; 4, a picture and the coarse mask that is to be refined.
    `width`: channels of the first convolution, of which all others are multiples.
    """

    def __init__(self, *, channels_in: int = 3, width: int = 64) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv_in = nn.Conv2d(channels_in, width, 3, stride=2, padding=1)
        self.stage1 = ResidualUBlock(7, width, half, width)
        self.stage2 = ResidualUBlock(6, width, half, 2 * width)
        self.stage3 = ResidualUBlock(5, 2 * width, width, 4 * width)
        self.stage4 = ResidualUBlock(4, 4 * width, 2 * width, 8 * width)
        self.stage5 = ResidualUBlock(4, 8 * width, 4 * width, 8 * width, dilated=True)
        self.stage6 = ResidualUBlock(4, 8 * width, 4 * width, 8 * width, dilated=True)
        self.stage5d = ResidualUBlock(4, 16 * width, 4 * width, 8 * width, dilated=True)
        self.stage4d = ResidualUBlock(4, 16 * width, 2 * width, 4 * width)
        self.stage3d = ResidualUBlock(5, 8 * width, width, 2 * width)
        self.stage2d = ResidualUBlock(6, 4 * width, half, width)
        self.stage1d = ResidualUBlock(7, 2 * width, quarter, width)
        for level, multiple in enumerate((1, 1, 2, 4, 8, 8), start=1):
            self.add_module(f"side{level}", nn.Conv2d(multiple * width, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        return enlarge(self._side(1, self.features(image)[0]), image)

    def features(self, image: Tensor) -> list[Tensor]:
        """Return what the six side heads look at, finest (half the image's size) first."""
        x = self.stage1(self.conv_in(laid_out(image, training=self.training)))
        skips: list[Tensor] = []
        for level in range(2, 7):
            skips.append(x)
            x = self.get_submodule(f"stage{level}")(halve(x))
        found = [x]
        for level in range(5, 0, -1):
            skip = skips.pop()
            x = self.get_submodule(f"stage{level}d")(torch.cat((enlarge(x, skip), skip), 1))
            found.append(x)
        return found[::-1]

    def side_logits(self, image: Tensor) -> list[Tensor]:
        """Return the logits of all six side heads, each B×1×H×W; the first is what `forward`
        returns.
        """
        return self.sides(self.features(image), image)

    def sides(self, features: Sequence[Tensor], image: Tensor) -> list[Tensor]:
        """Return the same for `features(image)`."""
        return [
            enlarge(self._side(level, feature), image)
            for level, feature in enumerate(features, start=1)
        ]

    def _side(self, level: int, feature: Tensor) -> Tensor:
        return self.get_submodule(f"side{level}")(feature)
