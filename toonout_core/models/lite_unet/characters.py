"""A head that says who is who: where centres of characters are, and the way to them from
everywhere.

After Panoptic-DeepLab (arXiv:1911.10194), as a small head on the features of the matting network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.autocast import autocasts
from ...ops.fused_conv import conv_relu
from ..folding import fold_norm
from .encoder import ConvNorm

STRIDE = 4  # pixels of the input per cell of the maps
WAY_UNIT = 32.0  # input pixels that a way of 1 means
SIZE_UNIT = 32.0  # input pixels of a character whose predicted logarithm is 0
_FAST_DILATION = 2  # beyond it, oneDNN takes ten times as long for a depthwise convolution
_NEVER = -4.0  # logit of centres in a new network
_LARGEST = 8.0  # logarithm of a size: no overflow, however wrong

_CERTAINTY = "characters"  # in the text
_LEAST = 1e-4  # score whose logit is taken
_STEEPEST = 50.0


@dataclass(frozen=True)
class Certainty:
    """Turns raw scores into probabilities: σ(`slope`·logit + `area`·share + `offset`) (Platt
    1999).

    `share` is the logarithm of a character's area over that of the picture: a leaf, a toy or a part
    of a character is small. `alone` is the probability of a region that no centre explains.
    """

    slope: float = 1.0
    offset: float = 0.0
    area: float = 0.0
    alone: float = 0.5

    def of(self, score: float, share: float = 0.0) -> float:
        """Return how often a character of this raw score in [0, 1] and this share (at most 0) is
        one.
        """
        told = self.slope * logit(score) + self.area * share + self.offset
        return 1 / (1 + math.exp(-min(max(told, -_STEEPEST), _STEEPEST)))

    def write(self) -> str:
        """Spell it as text, for the metadata of a file."""
        return json.dumps({_CERTAINTY: asdict(self)})


def logit(score: float) -> float:
    """Return ln p / (1 − p), which is kept finite at 0 and 1."""
    inner = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(inner / (1 - inner))


def read_certainty(text: str) -> Certainty:
    """Read what `Certainty.write` wrote; any other text gives the defaults, as it is
    not trusted.
    """
    try:
        told = json.loads(text)[_CERTAINTY]
        numbers = [float(told[item.name]) for item in fields(Certainty)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return Certainty()
    slope, offset, area, alone = numbers
    sane = 0 < slope <= _STEEPEST and abs(offset) <= _STEEPEST and 0 <= alone <= 1
    return Certainty(*numbers) if sane and 0 <= area <= _STEEPEST else Certainty()


@dataclass(frozen=True)
class Centres:
    """Maps at a quarter of the input's size, float32.

    `logits` B×1×h×w: whether a character's centre of mass is here. `ways` B×2×h×w: x and y to the
    centre, in cells. `sizes` B×1×h×w: square root of the area of the character here, in cells.
    """

    logits: Tensor
    ways: Tensor
    sizes: Tensor

    def to(self, device: torch.device | str) -> Centres:
        """Return the same on another device."""
        return Centres(*(getattr(self, item.name).to(device) for item in fields(self)))


class WideBlock(nn.Module):
    """Adds to its input a wide depthwise convolution and two pointwise ones, with twice the
    channels inside.
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, 1, padding, dilation, channels, bias=False
        )
        self.norm = nn.BatchNorm2d(channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if autocasts(x.device.type):
            # as in `ConvNorm`: the CPU's backward pass is slow in bf16
            with torch.autocast(x.device.type, enabled=False):
                y = self._normed(x.float()).to(x.dtype)
        else:
            y = self._normed(x)
        wide, bias = self.widen.weight, self.widen.bias
        assert bias is not None
        return x + self.narrow(conv_relu(y, wide, bias, (1, 1), (0, 0), 1, math.inf))

    def _normed(self, x: Tensor) -> Tensor:
        conv = self.depthwise
        if self.norm.training:
            return self.norm(conv(x))
        weight, bias = fold_norm(conv.weight, conv.bias, self.norm)
        if conv.dilation[0] > _FAST_DILATION and not torch.is_grad_enabled():
            return _by_phases(x, weight, bias, conv.dilation[0])
        return F.conv2d(x, weight, bias, 1, conv.padding, conv.dilation, conv.groups)


def _by_phases(x: Tensor, weight: Tensor, bias: Tensor, step: int) -> Tensor:
    """Compute a depthwise convolution of C×1×k×k with dilation `step` that keeps the size.

    Pixels `step` apart form a small picture, in which it is an ordinary convolution.
    """
    batch, _, height, width = x.shape
    x = F.pad(x, (0, -width % step, 0, -height % step))
    x = x.unflatten(3, (-1, step)).unflatten(2, (-1, step))
    parts = x.permute(3, 5, 0, 1, 2, 4).flatten(0, 2)
    out = F.conv2d(parts, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))
    out = out.unflatten(0, (step, step, batch)).permute(2, 3, 4, 0, 5, 1)
    out = out.flatten(4, 5).flatten(2, 3)[:, :, :height, :width]
    return out.contiguous(memory_format=torch.channels_last)


class CharacterHead(nn.Module):
    """Features of the network at strides 4, 8, 16, 32 → `Centres`.

    `encoded`, `decoded`: channels of the encoder's and of the decoder's features, finest first.
    `widths`: its own channels at strides 4, 8, and at 16 and 32. `certainty`: fitted after
    training, and kept beside the weights.
    """

    def __init__(
        self,
        encoded: Sequence[int],
        decoded: Sequence[int],
        widths: Sequence[int] = (48, 64, 128),
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.deep = nn.Conv2d(encoded[3], coarse, 1)
        self.context = nn.Conv2d(encoded[3], coarse, 1, bias=False)
        self.blocks32 = nn.Sequential(WideBlock(coarse, 5), WideBlock(coarse, 5))
        self.join16 = ConvNorm(coarse + encoded[2] + decoded[2], coarse, 1)
        # dilated: a character that fills the picture is seen from everywhere in it
        self.blocks16 = nn.Sequential(*(WideBlock(coarse, 7, dilation) for dilation in (1, 2, 3)))
        self.join8 = ConvNorm(coarse + encoded[1] + decoded[1], middle, 1)
        self.blocks8 = nn.Sequential(WideBlock(middle, 7))
        self.join4 = ConvNorm(middle + encoded[0] + decoded[0], fine, 3)
        self.last = ConvNorm(fine, fine, 3)
        self.out = nn.Conv2d(fine, 4, 1)
        with torch.no_grad():
            if self.out.bias is not None:
                self.out.bias.copy_(torch.tensor([_NEVER, 0.0, 0.0, 0.0]))
        self.certainty = Certainty()

    def forward(self, encoded: Sequence[Tensor], decoded: Sequence[Tensor]) -> Centres:
        deep = encoded[3]
        x = self.deep(deep) + self.context(deep.mean((2, 3), keepdim=True))
        x = self.blocks32(x)
        for level, join, blocks in (
            (2, self.join16, self.blocks16),
            (1, self.join8, self.blocks8),
            (0, self.join4, self.last),
        ):
            up = F.interpolate(x, scale_factor=2, mode="nearest")
            x = blocks(join(torch.cat((up, encoded[level], decoded[level]), 1)))
        logits, ways, sizes = self.out(x).float().split((1, 2, 1), 1)
        return Centres(
            logits,
            ways * (WAY_UNIT / STRIDE),
            torch.exp2(sizes.clamp(max=_LARGEST)) * (SIZE_UNIT / STRIDE),
        )
