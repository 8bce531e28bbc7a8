"""A head that draws the edge of a coarse matte where the picture has it.

It sees a part of a picture at full size, what the matting network makes of that part, and alpha as
a look at the whole left it: enlarged, and so blurred. What is the character is decided there; the
head only decides where it ends. So it serves the mattes of any model (after CascadePSP,
arXiv:2005.02551, as a small head on frozen features).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .characters import WideBlock
from .encoder import ConvNorm

_LEAST = 0.01  # alpha whose logit is taken: what the coarse matte is sure of can still be moved


class DetailHead(nn.Module):
    """Image B×3×H×W, normalised, and coarse alpha B×1×H×W → logits of alpha, B×1×H×W.

    `encoded`, `decoded`: channels of the encoder's and of the decoder's features at strides 2, 4,
    8 and 16. `widths`: its own at the same strides. A new head gives the coarse alpha back.
    """

    def __init__(
        self,
        encoded: Sequence[int],
        decoded: Sequence[int],
        widths: Sequence[int] = (24, 32, 48, 64),
    ) -> None:
        super().__init__()
        fine, middle, wide, deep = widths
        self.join16 = ConvNorm(encoded[3] + decoded[3] + 1, deep, 1)
        self.blocks16 = nn.Sequential(WideBlock(deep, 5), WideBlock(deep, 5, 2))
        self.join8 = ConvNorm(deep + encoded[2] + decoded[2] + 1, wide, 1)
        self.blocks8 = nn.Sequential(WideBlock(wide, 5))
        self.join4 = ConvNorm(wide + encoded[1] + decoded[1] + 1, middle, 3)
        # at stride 2 it sees the pixels of image and alpha themselves, as 2×2 blocks
        self.join2 = ConvNorm(middle + encoded[0] + decoded[0] + 16, fine, 3)
        self.last = ConvNorm(fine, fine, 3)
        self.out = nn.Conv2d(fine, 4, 1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(
        self,
        image: Tensor,
        coarse: Tensor,
        encoded: Sequence[Tensor],
        decoded: Sequence[Tensor],
    ) -> Tensor:
        x = self.blocks16(self._join(self.join16, None, encoded[3], decoded[3], coarse, 16))
        x = self.blocks8(self._join(self.join8, x, encoded[2], decoded[2], coarse, 8))
        x = self._join(self.join4, x, encoded[1], decoded[1], coarse, 4)
        pixels = F.pixel_unshuffle(torch.cat((image, coarse), 1), 2)
        x = self.join2(torch.cat((_twice(x), encoded[0], decoded[0], pixels), 1))
        moved = F.pixel_shuffle(self.out(self.last(x)), 2)
        return moved + coarse.clamp(_LEAST, 1 - _LEAST).logit()

    def _join(
        self,
        layer: nn.Module,
        deeper: Tensor | None,
        encoded: Tensor,
        decoded: Tensor,
        coarse: Tensor,
        stride: int,
    ) -> Tensor:
        known = [] if deeper is None else [_twice(deeper)]
        return layer(torch.cat((*known, encoded, decoded, F.avg_pool2d(coarse, stride)), 1))


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
