"""Resize pictures, fit them to what a network sees, and find the way back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from ..words import TrainedFit

# float32 weights of one pixel sum to 1 within 4e-7; with this margin 1.0 stays exactly 1.0
MARGIN = 1 + 1e-6


def resize(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize B×C×H×W → B×C×h×w float32, bilinear, half-pixel aligned, antialiased where it shrinks.

    Values stay in [0, 1]: opaque is exactly 1.0 again, transparent exactly 0.0. The filter is that
    of Pillow's BILINEAR, without its rounding to 8 bit.
    """
    if min(size_hw) < 1:
        raise BadInput("a size must be at least 1×1", _spell(size_hw))
    image = image.to(torch.float32)
    height, width = int(image.shape[-2]), int(image.shape[-1])
    if (height, width) == tuple(size_hw):
        return image
    if size_hw[1] == 1 < size_hw[0]:
        # torch 2.x repeats the first row of such a column (antialiased, on the CPU)
        return resize(image.transpose(-1, -2), (1, size_hw[0])).transpose(-1, -2)
    shrinks = size_hw[0] < height or size_hw[1] < width
    if shrinks and image.device.type not in ("cpu", "cuda"):
        # torch has the antialiased kernel for these two only
        return resize(image.cpu(), size_hw).to(image.device)
    resized = functional.interpolate(
        image, size=tuple(size_hw), mode="bilinear", align_corners=False, antialias=shrinks
    )
    return resized.mul_(MARGIN).clamp_(0, 1)


@dataclass(frozen=True)
class Fitted:
    """Where a picture went on a canvas, and how to come back."""

    source_hw: tuple[int, int]
    content_hw: tuple[int, int]
    offset_yx: tuple[int, int]
    canvas_hw: tuple[int, int]

    def undo(self, result: Tensor) -> Tensor:
        """B×C×canvas → B×C×source; bit for bit where the picture was only padded."""
        if tuple(result.shape[-2:]) != self.canvas_hw:
            raise BadInput(
                f"a result must have the canvas' size {_spell(self.canvas_hw)}",
                _spell((int(result.shape[-2]), int(result.shape[-1]))),
            )
        return resize(self.crop(result), self.source_hw)

    def crop(self, result: Tensor) -> Tensor:
        """The picture's part of the canvas, not resized."""
        (top, left), (height, width) = self.offset_yx, self.content_hw
        return result[..., top : top + height, left : left + width]


def fit(
    image: Tensor,
    size_hw: tuple[int, int],
    mode: TrainedFit = "squash",
    fill: float | None = None,
) -> tuple[Tensor, Fitted]:
    """Bring B×C×H×W to a canvas of size_hw, float32.

    `squash` stretches it, `pad` keeps the aspect ratio and centres. Beside the picture is `fill`,
    or its own edge pixels, repeated.
    """
    source_hw = (int(image.shape[-2]), int(image.shape[-1]))
    if mode == "squash":
        return resize(image, size_hw), Fitted(source_hw, size_hw, (0, 0), size_hw)
    if mode != "pad":
        raise BadInput('fit must be "squash" or "pad"', repr(mode))
    scale = min(size_hw[0] / source_hw[0], size_hw[1] / source_hw[1])
    content_hw = (
        min(max(round(source_hw[0] * scale), 1), size_hw[0]),
        min(max(round(source_hw[1] * scale), 1), size_hw[1]),
    )
    down, right = size_hw[0] - content_hw[0], size_hw[1] - content_hw[1]
    top, left = down // 2, right // 2
    canvas = resize(image, content_hw)
    if down or right:
        how = "replicate" if fill is None else "constant"
        edges = (left, right - left, top, down - top)
        canvas = functional.pad(canvas, edges, mode=how, value=fill)
    return canvas, Fitted(source_hw, content_hw, (top, left), size_hw)


def _spell(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}×{size_hw[1]}"
