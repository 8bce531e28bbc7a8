"""Lay a cutout over something. Images are B×3×H×W, alpha B×1×H×W straight, all in [0, 1]."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Integral
from typing import cast

import torch
from PIL import ImageColor
from torch import Tensor

from ..errors import BadInput, plain
from ..imaging import from_levels


def over(foreground: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """Compute αF + (1−α)B, which is exactly F where α = 1 and exactly B where α = 0.

    `background` is an image of the same size, or a colour 1×3×1×1; a batch of 1 serves all.
    """
    _check_fits(foreground, alpha, "alpha")
    _check_fits(foreground, background, "background", colour=True)
    alpha = alpha.to(foreground)
    return alpha * foreground + (1 - alpha) * background.to(foreground)


def over_translucent(
    foreground: Tensor, alpha: Tensor, background: Tensor, opacity: Tensor
) -> tuple[Tensor, Tensor]:
    """Lay a cutout over a colour 1×3×1×1 that is itself translucent, `opacity` 1×1×1×1.

    α' = α + (1−α)b and C' = (αF + (1−α)bB) / α'. Returns straight colours and alpha.
    """
    _check_fits(foreground, alpha, "alpha")
    alpha = alpha.to(foreground)
    below = (1 - alpha) * opacity.to(foreground)
    total = alpha + below
    mixed = alpha * foreground + below * background.to(foreground)
    return torch.where(total > 0, mixed / total.clamp_min(1e-6), foreground), total


def on_white(image: Tensor, alpha: Tensor | None) -> Tensor:
    """Lay a picture that has its own alpha on white; without alpha it stays as it is."""
    return image if alpha is None else over(image, alpha, image.new_ones((1, 3, 1, 1)))


def premultiply(image: Tensor, alpha: Tensor) -> Tensor:
    """Multiply colours by alpha."""
    _check_fits(image, alpha, "alpha")
    return image * alpha.to(image)


def stacked(parts: Tensor) -> Tensor:
    """Turn parts of one alpha, N×1×H×W, the farthest first, into alphas for laying over one
    another.

    Laid over one another with their own parts, two that share a soft edge would let the background
    through. a'ᵢ = aᵢ / (1 − Σ of the parts in front of it) shows just aᵢ of each, and Σ a in all.
    """
    result = torch.empty_like(parts)
    rest = torch.ones_like(parts[:1])
    for i in range(len(parts) - 1, -1, -1):
        part = torch.minimum(parts[i : i + 1], rest)
        result[i : i + 1] = torch.where(rest > 0, part / rest.clamp_min(1e-6), part)
        rest = rest - part
    return result.clamp(0, 1)


def checkerboard(
    size_hw: tuple[int, int], cell_px: int = 16, light: float = 0.8, dark: float = 0.6
) -> Tensor:
    """Draw the pattern that stands for transparency, 1×3×H×W; the upper left corner is light."""
    if cell_px < 1:
        raise BadInput("cell_px must be at least 1", str(cell_px))
    rows = torch.arange(size_hw[0])[:, None] // cell_px
    columns = torch.arange(size_hw[1])[None] // cell_px
    odd = ((rows + columns) % 2).to(torch.float32)
    return (light + (dark - light) * odd).expand(1, 3, *size_hw).contiguous()


def parse_colour(text: str) -> Tensor:
    """A colour as in CSS ("#fa0", "#ffaa00", "orange"; # may lack) → 1×3×1×1 in [0, 1].

    "green" is the pure green of chroma keying, not the dark one of CSS.
    """
    name = text.strip().lower()
    code = {"green": "#00ff00"}.get(name, name)
    if re.fullmatch("[0-9a-f]{3}|[0-9a-f]{6}", code):
        code = "#" + code
    try:
        red, green, blue = cast("tuple[int, int, int]", ImageColor.getrgb(code))
    except ValueError as error:  # also for a fourth value: a colour has no transparency here
        raise BadInput(
            "a colour must be #rgb, #rrggbb or a name such as white, black, grey, red or green",
            repr(plain(text, 40)),
            "For a transparent result leave the background away.",
        ) from error
    return from_levels(torch.tensor([red, green, blue]).view(1, 3, 1, 1))


def colour_of(levels: Sequence[int]) -> Tensor:
    """Red, green and blue from 0 to 255, with an alpha of 255 or without → 1×3×1×1 in [0, 1]."""
    numbers = list(levels)
    whole = all(isinstance(level, Integral) and 0 <= level <= 255 for level in numbers)
    if not whole or len(numbers) not in (3, 4) or numbers[3:] not in ([], [255]):
        raise BadInput(
            "a colour must be three whole numbers from 0 to 255, or a fourth that is 255",
            plain(repr(levels), 60),
            'Or write it as "#ffffff". `cutout()` gives a transparent picture.',
        )
    return from_levels(torch.tensor([int(level) for level in numbers[:3]]).view(1, 3, 1, 1))


def _check_fits(image: Tensor, other: Tensor, name: str, colour: bool = False) -> None:
    """Raise BadInput unless `other` has the image's size (or is one colour) and its batch, or a
    batch of 1.
    """
    batches = {image.shape[0], other.shape[0]} - {1}
    sizes = {image.shape[-2:], (1, 1)} if colour else {image.shape[-2:]}
    if image.ndim != 4 or other.ndim != 4 or other.shape[-2:] not in sizes or len(batches) > 1:
        raise BadInput(
            f"{name} must fit the picture's shape {tuple(image.shape)}",
            f"{tuple(other.shape)}",
            "Resize it to the same size; use one, or as many as there are pictures.",
        )
