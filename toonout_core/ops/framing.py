"""Crops around what a matte shows: margin, fixed aspect, specks left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import BadInput
from .regions import connected_components, expand_box

_VISIBLE = 0.05  # alpha that a crop keeps: less is haze, and spreads far
_SPECK = 1 / 500  # of all that is visible: a smaller part elsewhere makes no crop larger


@dataclass(frozen=True)
class Framing:
    """`margin_px` on every side, and `margin` in shares of the longer side of what is visible, as
    far as the picture goes. `aspect`: width and height that the crop is to be like, None: any. A
    crop is made wider or taller for it, and sticks out of the picture only where that is too
    small."""

    margin_px: int = 0
    margin: float = 0.0
    aspect: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.margin_px < 0 or self.margin < 0:
            raise BadInput("a margin must be 0 or more", f"{self.margin_px} and {self.margin}")
        if self.aspect is not None and not 0.01 <= self.aspect[0] / self.aspect[1] <= 100:
            raise BadInput("an aspect must be 1:100 to 100:1", f"{self.aspect}")


def parse_aspect(text: str) -> tuple[float, float] | None:
    """Width and height of a text such as "3:4", "16/9" or "1.5"; of an empty one None.

    Raises BadInput.
    """
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:[:/x×]\s*(\d+(?:\.\d+)?))?\s*", text)
    width, height = (float(found[1]), float(found[2] or 1)) if found else (0.0, 0.0)
    if width <= 0 or height <= 0:
        raise BadInput("an aspect must be like 3:4", repr(text), "Leave it empty for any.")
    return width, height


def visible_box(alpha: Tensor) -> list[int] | None:
    """x0, y0, x1, y1 (exclusive) around what any frame of B×1×H×W shows, without specks; None if
    nothing is visible."""
    pieces = connected_components((alpha > _VISIBLE).flatten(0, 1).any(0))
    if not len(pieces):
        return None
    large = pieces.areas_px >= _SPECK * pieces.areas_px.sum()
    boxes = pieces.boxes_xyxy[large]
    return [*boxes[:, :2].amin(0).tolist(), *boxes[:, 2:].amax(0).tolist()]


def framed(box_xyxy: Sequence[int], size_hw: tuple[int, int], framing: Framing) -> list[int]:
    """The box with its margin, in its aspect. It may stick out of the picture."""
    x0, y0, x1, y1 = box_xyxy
    margin = framing.margin_px + round(framing.margin * max(x1 - x0, y1 - y0))
    x0, y0, x1, y1 = expand_box(box_xyxy, margin, size_hw)
    if framing.aspect is not None:
        wide = framing.aspect[0] / framing.aspect[1]
        width, height = x1 - x0, y1 - y0
        x0, x1 = _widened(x0, x1, max(width, round(height * wide)), size_hw[1])
        y0, y1 = _widened(y0, y1, max(height, round(width / wide)), size_hw[0])
    return [x0, y0, x1, y1]


def _widened(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """`length` pixels around the middle, moved into 0 … limit if they fit."""
    first = (start + end - length) // 2
    first = (limit - length) // 2 if length > limit else min(max(first, 0), limit - length)
    return first, first + length


def cut_to(image: Tensor, box_xyxy: Sequence[int]) -> Tensor:
    """The box's part of B×C×H×W; 0 where it sticks out."""
    x0, y0, x1, y1 = box_xyxy
    height, width = image.shape[-2:]
    inside = image[..., max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    room = (max(-x0, 0), max(x1 - width, 0), max(-y0, 0), max(y1 - height, 0))
    return torch.nn.functional.pad(inside, room) if any(room) else inside.clone()
