"""Laying a cutout over something. Pictures B×3×H×W, alpha B×1×H×W straight, all in [0, 1]."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from ..errors import BadInput

# CSS values, but green is the pure one of chroma keying
COLOURS = {
    "white": "#ffffff",
    "black": "#000000",
    "grey": "#808080",
    "gray": "#808080",
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
    "magenta": "#ff00ff",
    "cyan": "#00ffff",
    "yellow": "#ffff00",
}


def over(foreground: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """αF + (1−α)B; exactly F where α = 1 and exactly B where α = 0.

    `background` is a picture of the same size, or a colour 1×3×1×1; a batch of 1 serves all.
    """
    _check_fits(foreground, alpha, "alpha")
    _check_fits(foreground, background, "background", colour=True)
    alpha = alpha.to(foreground)
    return alpha * foreground + (1 - alpha) * background.to(foreground)


def on_white(image: Tensor, alpha: Tensor | None) -> Tensor:
    """What is seen of a picture that is itself transparent; None: all of it."""
    return image if alpha is None else over(image, alpha, image.new_ones((1, 3, 1, 1)))


def premultiply(image: Tensor, alpha: Tensor) -> Tensor:
    """Colours times alpha."""
    _check_fits(image, alpha, "alpha")
    return image * alpha.to(image)


def unpremultiply(image: Tensor, alpha: Tensor) -> Tensor:
    """Colours divided by alpha, at most 1; black where alpha is 0."""
    _check_fits(image, alpha, "alpha")
    alpha = alpha.to(image)
    visible = alpha > 0
    straight = (image / torch.where(visible, alpha, torch.ones_like(alpha))).clamp(0, 1)
    return torch.where(visible, straight, torch.zeros_like(straight))


def checkerboard(
    size_hw: tuple[int, int], cell_px: int = 16, light: float = 0.8, dark: float = 0.6
) -> Tensor:
    """1×3×H×W, the pattern that stands for transparency; light in the upper left corner."""
    if cell_px < 1:
        raise BadInput("cell_px must be at least 1", str(cell_px))
    rows = torch.arange(size_hw[0])[:, None] // cell_px
    columns = torch.arange(size_hw[1])[None] // cell_px
    odd = ((rows + columns) % 2).to(torch.float32)
    return (light + (dark - light) * odd).expand(1, 3, *size_hw).contiguous()


def parse_colour(text: str) -> Tensor:
    """A name of COLOURS, "#rgb" or "#rrggbb" (# may lack) → 1×3×1×1 in [0, 1]."""
    name = text.strip().lower()
    code = COLOURS.get(name, name)
    if not re.fullmatch("#?([0-9a-f]{3}|[0-9a-f]{6})", code):
        raise BadInput(
            f"a colour must be #rgb, #rrggbb or one of {', '.join(COLOURS)}",
            repr(text),
            "For a transparent result leave the background away.",
        )
    digits = code.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    levels = [int(digits[start : start + 2], 16) for start in (0, 2, 4)]
    return torch.tensor(levels, dtype=torch.float32).div(0xFF).view(1, 3, 1, 1)


def _check_fits(image: Tensor, other: Tensor, name: str, colour: bool = False) -> None:
    """`other` has the picture's size (or is one colour) and its batch; a batch of 1 always fits."""
    batches = {image.shape[0], other.shape[0]} - {1}
    sizes = {image.shape[-2:], (1, 1)} if colour else {image.shape[-2:]}
    if image.ndim != 4 or other.ndim != 4 or other.shape[-2:] not in sizes or len(batches) > 1:
        raise BadInput(
            f"{name} must fit the picture's shape {tuple(image.shape)}",
            f"{tuple(other.shape)}",
            "Resize it to the same size; use one, or as many as there are pictures.",
        )
