"""Show where a matte is wrong, as a picture to look at."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops.compositing import over, parse_colour
from .matte_pair import MattePair

LOUD = "magenta"  # no drawing's edge hides on it
MISSING, SURPLUS = "#ff3b30", "#00e5ff"
_BRIGHTEST = 0.45  # the lightest grey of the picture below, on which the colours stand out


def error_map(prediction: Tensor, truth: Tensor, image: Tensor | None = None) -> Tensor:
    """Draw where alpha differs from true alpha, both 1×1×H×W in [0, 1] → 1×3×H×W.

    Red shows what the matte lacks, and cyan what it has too much. Below them is the picture
    1×3×H×W, or the truth without one, in dark grey. Colours are as strong as the root of the error,
    so that even an error of 1 % can be seen.
    """
    MattePair(prediction, truth)  # raises BadInput unless both have one size
    prediction, truth = (matte.detach().float().cpu() for matte in (prediction, truth))
    below = truth if image is None else image.detach().float().cpu().mean(1, keepdim=True)
    picture = (_BRIGHTEST * below).expand(-1, 3, -1, -1)
    difference = truth - prediction
    for colour, error in ((MISSING, difference), (SURPLUS, -difference)):
        strength = error.clamp(0, 1).sqrt()
        picture = over(parse_colour(colour).expand_as(picture), strength, picture)
    return picture


def over_loud_colour(alpha: Tensor, image: Tensor | None = None) -> Tensor:
    """Cut the picture 1×3×H×W (or white) out by `alpha` 1×1×H×W and lay it over magenta."""
    alpha = alpha.detach().float().cpu()
    if image is None:
        image = torch.ones_like(alpha).expand(-1, 3, -1, -1)
    return over(image.detach().float().cpu(), alpha, parse_colour(LOUD))
