"""Estimate the foreground of a picture: its own colours, free of the old background."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import BadInput
from .blur_fusion import TRANSPARENT, blur_fusion
from .inversion import Inversion
from .spreading import spread_colours_

Method = Literal["inversion", "blur-fusion"]

# colour of the whole foreground where a picture has none
EMPTY = 0.0


def estimate_foreground(
    image: Tensor,
    alpha: Tensor,
    radius_px: int = 90,
    refine_radius_px: int = 6,
    method: Method = "inversion",
    *,
    overwrite: bool = False,
) -> Tensor:
    """Foreground colours of B×3×H×W and B×1×H×W → B×3×H×W float32 in [0, 1].

    "blur-fusion": box windows of radius_px, then refine_radius_px pixels a side (0: one pass).
    "inversion": the same, then soft pixels are solved for their colour with the old background that
    is seen beside them, see ops/inversion.py; its windows grow with the picture.
    α = 1 keeps the picture's colour exactly. Transparent pixels (α below half a level of 8 bit)
    get the colour of the foreground nearby, or black in a picture without any: never that of the
    old background. `overwrite`: the result takes the place of a float32 `image` in memory.
    """
    _check(image, alpha, radius_px, refine_radius_px)
    if method not in get_args(Method):
        raise BadInput(f"method must be one of {', '.join(get_args(Method))}", repr(method))
    image = image.detach()
    alpha = alpha.detach().to(image.device, torch.float32)
    foreground, unreached = blur_fusion(
        image, alpha, radius_px, refine_radius_px,
        Inversion(image, alpha) if method == "inversion" else None,
        overwrite=overwrite and image.dtype == torch.float32,
    )  # fmt: skip
    return spread_colours_(foreground, alpha, unreached, TRANSPARENT, EMPTY)


def _check(image: Tensor, alpha: Tensor, radius_px: int, refine_radius_px: int) -> None:
    if image.ndim != 4 or image.shape[1] != 3 or 0 in image.shape:
        raise BadInput("image must be B×3×H×W", f"shape {tuple(image.shape)}")
    expected = (image.shape[0], 1, *image.shape[2:])
    if tuple(alpha.shape) != expected:
        raise BadInput(
            f"alpha must have the image's batch and size, shape {expected}",
            f"{tuple(alpha.shape)}",
            "Resize it, or take the alpha of the same image.",
        )
    if radius_px < 1 or refine_radius_px < 0:
        raise BadInput(
            "radius_px must be at least 1 and refine_radius_px at least 0",
            f"{radius_px} and {refine_radius_px}",
        )
