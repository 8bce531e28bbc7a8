"""Place a picture in a square, as detectors are fed, and find the way back."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from .eight_bit import resize_eight_bit
from .resizing import Fitted

GREY = 114 / 255  # what common detectors were trained to ignore


def letterbox(
    image: Tensor, side: int, *, fill: float = GREY, centre: bool = False
) -> tuple[Tensor, Fitted]:
    """B×C×H×W in [0, 1] → B×C×side×side: the longer side becomes `side`, also if it was shorter.

    The picture is rounded to 8 bit and lies at the top left, or in the `centre`; the rest is
    `fill`.
    """
    height, width = int(image.shape[-2]), int(image.shape[-1])
    if min(height, width, side) < 1:
        raise BadInput("a picture must have pixels", f"{height}×{width} for {side}×{side}")
    ratio = side / max(height, width)
    content_hw = (max(int(height * ratio + 0.5), 1), max(int(width * ratio + 0.5), 1))
    content = resize_eight_bit(image, content_hw)
    down, right = side - content_hw[0], side - content_hw[1]
    top, left = (down // 2, right // 2) if centre else (0, 0)
    canvas = functional.pad(content, (left, right - left, top, down - top), value=fill)
    return canvas, Fitted((height, width), content_hw, (top, left), (side, side))


def boxes_to_picture(boxes_xyxy: Tensor, fitted: Fitted) -> Tensor:
    """Convert N×4 in pixels of the canvas to pixels of the picture; they are not clamped to it."""
    (height, width), (down, across) = fitted.source_hw, fitted.content_hw
    top, left = fitted.offset_yx
    # two steps, as in the reference: the ratio is rounded before it is inverted
    scale = boxes_xyxy.new_tensor([1 / (across / width), 1 / (down / height)]).repeat(2)
    return (boxes_xyxy - boxes_xyxy.new_tensor([left, top]).repeat(2)) * scale


def map_to_picture(canvas: Tensor, fitted: Fitted) -> Tensor:
    """… ×h×w of the canvas → … ×H×W of the picture, bilinear without antialiasing.

    Every pixel is read where the picture lies on the canvas, beyond its edge from the padding.
    """
    (height, width), (down, across) = fitted.source_hw, fitted.content_hw
    top, left = fitted.offset_yx
    planes = canvas.reshape(1, -1, *canvas.shape[-2:])
    # a row and a column more, so that rounding in the scale cannot lose a pixel
    content = functional.pad(planes, (0, 1, 0, 1), mode="replicate")[
        ..., top : top + down + 1, left : left + across + 1
    ]
    enlarged = functional.interpolate(
        content, scale_factor=(height / down, width / across), mode="bilinear", align_corners=False
    )
    return enlarged[0, :, :height, :width].reshape(*canvas.shape[:-2], height, width)
