"""Clips without flicker: what the last frame's matte says, moved along with the picture.

The motion between two frames comes from OpenCV's DIS optical flow (Kroeger et al. 2016). It is
trusted where there and back again leads to the same place and the colours are the same: what comes
into view, and what moves faster than the flow sees, keeps its own matte. So nothing leaves a ghost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .flow import Asked, MattingFlow
from .host import Step
from .imaging import channels_first, channels_last
from .ops.resizing import resize

_LONGEST_PX = 640  # that the flow sees
_STILL_PX = 0.1  # less than that is no motion: moving a matte by it would only blur it
_ASTRAY_PX, _ASTRAY_SHARE = 0.6, 0.05  # how far there and back again may miss
_OTHER_COLOUR = 0.06  # mean of the channels
_INSIDE = 0.7  # alpha of what surely is the character
_WINDOW = 9  # pixels, twice: whose motion an edge has
_NEAR_CHARACTER = 0.02  # share of the character in that window
_BENT_PX = 0.5  # standard deviation of the motion in that window: half as much trust
_CUT_SHARE = 0.4  # of the picture must be found again, else it is another scene


@dataclass
class _Last:
    """The frame before: what the flow saw of it, its picture and its steady matte."""

    grey: Any
    image: Tensor
    alpha: Tensor


class Steady:
    """Takes the frames of a clip in their order. `amount`: the share of the matte before, 0 … 1."""

    def __init__(self, amount: float = 0.75) -> None:
        self.amount = amount
        self._last: _Last | None = None

    def __call__(self, image: Tensor, alpha: Tensor) -> Tensor:
        """1×3×H×W and 1×1×H×W in [0, 1] → alpha, steadier than what was given."""
        height, width = (int(side) for side in image.shape[-2:])
        scale = min(1.0, _LONGEST_PX / max(height, width))
        size_hw = (max(round(height * scale), 16), max(round(width * scale), 16))
        small = resize(image, size_hw)
        grey = small.mean(1)[0].mul(255).round().byte().cpu().numpy()
        before, steady = self._last, alpha
        if before is not None and before.image.shape == small.shape:
            back, trust = _motion(grey, before.grey)
            seen = _moved(before.image, _places(back, size_hw).to(small))
            trust = trust.to(small) * ((seen - small).abs().mean(1, keepdim=True) < _OTHER_COLOUR)
            if float(trust.mean()) >= _CUT_SHARE:
                back, trust = _of_character(back, trust, resize(alpha, size_hw))
                moved = _moved(before.alpha, _places(back, (height, width)).to(alpha))
                share = resize(trust, (height, width)).to(alpha) * self.amount
                steady = torch.lerp(alpha, moved, share).clamp(0, 1)
        self._last = _Last(grey, small, steady)
        return steady


def _motion(grey: Any, before: Any) -> tuple[Any, Tensor]:
    """Flow h×w×2 from a frame to the one before, in pixels, and where it is trusted: 1×1×h×w."""
    from .opencv import cv2

    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)  # of full size: errors of 0.02 px instead of 0.08 where sprites move
    back, forth = flow.calc(grey, before, None), flow.calc(before, grey, None)
    back[np.abs(back).max(-1) < _STILL_PX] = 0
    height, width = grey.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    u, v = cv2.split(back)
    again = cv2.remap(forth, x + u, y + v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = np.linalg.norm(back, axis=-1)
    missed = np.linalg.norm(back + again, axis=-1)
    inside = (x + u >= 0) & (x + u <= width - 1) & (y + v >= 0) & (y + v <= height - 1)
    trusted = inside & ((missed < _ASTRAY_PX + _ASTRAY_SHARE * length) | (length == 0))
    return back, torch.from_numpy(trusted.astype(np.float32))[None, None]


def _of_character(back: Any, trust: Tensor, alpha: Tensor) -> tuple[Any, Tensor]:
    """The same, but at an edge, where the flow mixes both sides, as the character inside of it
    moves: the mean of what is trusted there."""
    flow = channels_first(torch.from_numpy(back)[None]).to(alpha)
    inside = (alpha > _INSIDE).to(alpha)
    seen = inside * trust
    square = flow.square().sum(1, keepdim=True)
    sums = torch.cat((flow * seen, square * seen, seen, inside), 1)
    for _ in range(2):
        sums = functional.avg_pool2d(sums, _WINDOW, 1, _WINDOW // 2)
    motion, square, trusted, inside = sums.split([2, 1, 1, 1], 1)
    near = (inside > _NEAR_CHARACTER).to(alpha)
    moved = torch.where(near * trusted > 0, motion / trusted.clamp(min=1e-6), flow)
    share = ((trusted / inside.clamp(min=1e-6) - 0.5) * 4).clamp(0, 1)
    # where the character turns or bends, or its motion was found badly, an edge does not move as
    # the mean does: variance is E|v|² - |E v|²
    spread = square / trusted.clamp(min=1e-6) - moved.square().sum(1, keepdim=True)
    share = share / (1 + spread.clamp(min=0) / _BENT_PX**2)
    trust = torch.where(near > 0, share, trust)
    trust = functional.avg_pool2d(-functional.max_pool2d(-trust, 3, 1, 1), 3, 1, 1)
    return channels_last(moved)[0].contiguous().numpy(), trust


def _places(back: Any, size_hw: tuple[int, int]) -> Tensor:
    """Where each pixel was, 1×H×W×2 in [-1, 1], for pictures of `size_hw`."""
    flow = torch.from_numpy(back)[None]
    x, y = (
        functional.interpolate(part[:, None], size_hw, mode="bilinear", align_corners=False)[:, 0]
        for part in flow.unbind(-1)
    )
    height, width = size_hw
    x = x * (2 / back.shape[1]) + (torch.arange(width) * 2 + 1) / width - 1
    y = y * (2 / back.shape[0]) + ((torch.arange(height) * 2 + 1) / height - 1)[:, None]
    return torch.stack((x, y), -1)


def _moved(planes: Tensor, places: Tensor) -> Tensor:
    return functional.grid_sample(
        planes, places, mode="bicubic", padding_mode="border", align_corners=False
    ).clamp_(0, 1)


class SteadyMatting(MattingFlow):
    """Another flow that is asked for the frames of one clip, in their order.

    `steady`: what has seen the frames before, if another flow was asked for them.
    """

    def __init__(self, flow: MattingFlow, steady: Steady | None = None) -> None:
        self.flow, self.host = flow, flow.host
        self._steady = steady or Steady()

    @property
    def name(self) -> str:
        return self.flow.name

    def seen_px(self, size_hw: tuple[int, int], resolution: int | None = None) -> int:
        return self.flow.seen_px(size_hw, resolution)

    def answer(self, image: Tensor, asked: Asked, step: Step) -> Tensor:
        """As the other flow's, steadier."""
        alpha = self.flow.predict(image, **vars(asked), report=step)
        for i in range(len(image)):
            alpha[i : i + 1] = self._steady(image[i : i + 1], alpha[i : i + 1].clone())
        return alpha
