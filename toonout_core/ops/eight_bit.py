"""Resize 8-bit pictures bilinearly in whole numbers, as OpenCV's INTER_LINEAR computes it.

Networks that were trained on pictures resized in this way see exactly these values, with any build
of OpenCV or none: some builds for ARM round otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..imaging import from_levels, to_levels

_ONE = np.float32(2048)  # weights have 11 bits after the point


class _Taps(NamedTuple):
    """The two neighbours of every target pixel, and their weights, which sum to 2048."""

    first: Tensor
    second: Tensor
    first_weight: Tensor
    second_weight: Tensor


def resize_eight_bit(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """B×C×H×W in [0, 1], rounded to 8 bit → B×C×h×w, multiples of 1/255. Not antialiased."""
    levels = to_levels(image)
    across = _taps(int(image.shape[-1]), size_hw[1], image.device, clamped=True)
    rows = levels[..., across.first].to(torch.int32) * across.first_weight
    rows += levels[..., across.second].to(torch.int32) * across.second_weight
    rows >>= 4
    down = _taps(int(image.shape[-2]), size_hw[0], image.device, clamped=False)
    upper = (rows[..., down.first, :] * down.first_weight[:, None]) >> 16
    lower = (rows[..., down.second, :] * down.second_weight[:, None]) >> 16
    return from_levels((upper + lower + 2) >> 2)


def _taps(source: int, target: int, device: torch.device, *, clamped: bool) -> _Taps:
    """Find both neighbours. Beyond the edge both are the edge's pixel.

    `clamped`: the second one then weighs 0, as OpenCV has it along rows.
    """
    place = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    index = np.floor(place)
    fraction = place - index
    if clamped:
        fraction[(index < 0) | (index >= source - 1)] = 0
    numbers = (
        index.clip(0, source - 1).astype(np.int64),
        (index + 1).clip(0, source - 1).astype(np.int64),
        np.rint((1 - fraction) * _ONE).astype(np.int32),
        np.rint(fraction * _ONE).astype(np.int32),
    )
    return _Taps(*(torch.from_numpy(part).to(device) for part in numbers))
