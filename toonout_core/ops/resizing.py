"""Sizes that a network can take, and the way there and back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput

Box = tuple[int, int, int, int]  # top, left, height, width


def resize(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Bilinear, half-pixel aligned, antialiased when it gets smaller; range is kept, ends exact.

    Equal to Pillow's BILINEAR within one level of 8 bit (Pillow rounds between its two passes).
    """
    if min(size_hw) < 1:
        raise BadInput("size_hw must be at least 1×1", f"{size_hw}")
    if tuple(image.shape[-2:]) == tuple(size_hw):
        return image
    result = F.interpolate(image, size=size_hw, mode="bilinear", align_corners=False, antialias=True)
    # weights sum to 1 but for the last bit: opaque stays opaque
    return result.mul_(1 + 4e-7).clamp_(0, 1)


@dataclass(frozen=True)
class SizeRule:
    """What sizes a network takes."""

    multiple_of: int = 1
    minimum: int = 1
    square: bool = False

    def size_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """The smallest size that obeys the rule and holds `size_hw`."""
        height, width = (max(side, self.minimum) for side in size_hw)
        if self.square:
            height = width = max(height, width)
        unit = self.multiple_of
        return -(-height // unit) * unit, -(-width // unit) * unit


def letterbox(image: Tensor, size_hw: tuple[int, int], fill: float = 0.5) -> tuple[Tensor, Box]:
    """Fit B×C×H×W into `size_hw` with its aspect kept, centred on `fill`; also where it lies."""
    height, width = int(image.shape[-2]), int(image.shape[-1])
    scale = min(size_hw[0] / height, size_hw[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size_hw[0] - inner[0]) // 2, (size_hw[1] - inner[1]) // 2
    canvas = image.new_full((*image.shape[:2], *size_hw), fill)
    canvas[..., top : top + inner[0], left : left + inner[1]] = resize(image, inner)
    return canvas, (top, left, *inner)


def undo_letterbox(image: Tensor, box: Box, size_hw: tuple[int, int]) -> Tensor:
    """Cut `box` out and bring it back to `size_hw`."""
    top, left, height, width = box
    return resize(image[..., top : top + height, left : left + width], size_hw)
