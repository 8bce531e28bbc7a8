"""Give a background the size of the picture that stands on it. Images are B×3×H×W in [0, 1]."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from .compositing import over, parse_colour
from .resizing import resize

BackgroundFit = Literal["cover", "contain", "stretch"]


def behind(
    picture: Tensor,
    colour: str,
    background: Tensor | None = None,
    alpha: Tensor | None = None,
    fit: BackgroundFit = "cover",
) -> Tensor:
    """Return what `picture` B×3×H×W stands on: a colour, or a `background` of any size → 1 or b ×
    3×H×W.

    `alpha`: the background's own. Where it is transparent its colours mean nothing, and the colour
    is seen. Raises BadInput for a colour that is none.
    """
    size_hw = (int(picture.shape[-2]), int(picture.shape[-1]))
    plain = parse_colour(colour).to(picture).expand(1, 3, *size_hw)
    if background is None:
        return plain
    if alpha is not None:
        background = over(background, alpha, parse_colour(colour))
    return fit_background(background, size_hw, fit, plain)


def fit_background(
    background: Tensor, size_hw: tuple[int, int], fit: BackgroundFit, bars: Tensor
) -> Tensor:
    """B×3×h×w → B×3×H×W; `bars` 1×3×H×W shows where "contain" leaves room.

    "cover" cuts what sticks out, "contain" shows all of it, "stretch" bends it.
    """
    if fit == "stretch":
        return resize(background, size_hw).clamp(0, 1)
    scales = [want / have for want, have in zip(size_hw, background.shape[-2:], strict=True)]
    scale = max(scales) if fit == "cover" else min(scales)
    height, width = (max(1, round(int(side) * scale)) for side in background.shape[-2:])
    scaled = resize(background, (height, width)).clamp(0, 1)
    top, left = abs(size_hw[0] - height) // 2, abs(size_hw[1] - width) // 2
    if fit == "cover":
        return scaled[..., top : top + size_hw[0], left : left + size_hw[1]]
    framed = bars.expand(len(scaled), *bars.shape[1:]).clone()
    framed[..., top : top + height, left : left + width] = scaled
    return framed
