"""Laying colours over each other: I = αF + (1 − α)B, straight alpha, B×C×H×W in [0, 1]."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from ..errors import BadInput

COLOURS = {
    "white": "#ffffff",
    "black": "#000000",
    "grey": "#808080",
    "gray": "#808080",
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
    "yellow": "#ffff00",
    "cyan": "#00ffff",
    "magenta": "#ff00ff",
}

_HEX = re.compile(r"#?(?:[0-9a-f]{3}|[0-9a-f]{6})")


def parse_colour(text: str) -> Tensor:
    """ "#rrggbb", "#rgb" or a name → 1×3×1×1 in [0, 1]."""
    name = text.strip().lower()
    digits = COLOURS.get(name, name)
    if not _HEX.fullmatch(digits):
        raise BadInput(
            f"a colour must be #rrggbb, #rgb or one of {', '.join(COLOURS)}", repr(text)
        )
    digits = digits.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    levels = [int(digits[i : i + 2], 16) for i in (0, 2, 4)]
    return torch.tensor(levels, dtype=torch.float32).div(255).view(1, 3, 1, 1)


def over(foreground: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """αF + (1 − α)B, exact at both ends; batches and sizes of 1 broadcast."""
    return torch.lerp(*torch.broadcast_tensors(background, foreground, alpha))


def premultiply(foreground: Tensor, alpha: Tensor) -> Tensor:
    """F → αF."""
    return foreground * alpha


def unpremultiply(premultiplied: Tensor, alpha: Tensor) -> Tensor:
    """αF → F, 0 where α is 0."""
    straight = premultiplied / alpha.clamp_min(torch.finfo(alpha.dtype).tiny)
    return torch.where(alpha > 0, straight, torch.zeros_like(straight)).clamp(0, 1)


def checkerboard(
    size_hw: tuple[int, int], square_px: int = 16, dark: float = 0.6, light: float = 0.8
) -> Tensor:
    """The usual stand-in for transparency, 1×3×H×W."""
    rows, columns = (torch.arange(length) // square_px for length in size_hw)
    odd = ((rows[:, None] + columns[None, :]) % 2).to(torch.float32)
    return (dark + (light - dark) * odd).expand(1, 3, *size_hw).clone()
