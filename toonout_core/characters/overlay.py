"""Draw a picture to look at: every character in a colour of its own, outlined, boxed
and numbered.
"""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import from_array, from_levels, to_array
from ..instances import Instances, require_picture_of
from ..words import Array

# Okabe and Ito 2008, told apart with every kind of colour vision; neighbours differ most
_COLOURS = (
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
    (0, 114, 178),
    (204, 121, 167),
    (0, 158, 115),
    (230, 159, 0),
)
_GOLDEN_RATIO = 0.6180339887498949  # of a turn of hue: no number of steps comes near an old one
_RIM = (16, 16, 16)
_INK = (255, 255, 255)
_HALF = 0.5


def instance_colours(count: int) -> Tensor:
    """Return N×3 in [0, 1]: the colours that `draw_instances` gives to the first `count`."""
    chosen = [_COLOURS[i] if i < len(_COLOURS) else _further_colour(i) for i in range(count)]
    return from_levels(torch.tensor(chosen).reshape(count, 3))


def _further_colour(index: int) -> tuple[int, int, int]:
    turn = index - len(_COLOURS)
    rgb = colorsys.hsv_to_rgb(turn * _GOLDEN_RATIO % 1, 0.85, (1.0, 0.7)[turn % 2])
    return tuple(round(255 * value) for value in rgb)  # pyright: ignore[reportReturnType]


def draw_instances(
    image: Tensor,
    instances: Instances,
    *,
    alpha: float = 0.5,
    boxes: bool = True,
    numbers: bool = True,
) -> Tensor:
    """Draw what was found over 1×3×H×W in [0, 1], on the CPU.

    `alpha`: how strongly masks are coloured, in [0, 1]. A number is the instance's index, from 0
    on, and stands where its mask is widest. Lines and numbers grow with the picture.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise BadInput("image must be 1×3×H×W", f"shape {tuple(image.shape)}")
    require_picture_of(instances, image)
    if not 0 <= alpha <= 1:
        raise BadInput("alpha must be in [0, 1]", str(alpha))
    tinted = image.detach().to("cpu", torch.float32, copy=True)
    colours = instance_colours(len(instances))
    for mask, colour in zip(instances.masks, colours, strict=True):
        tinted.lerp_(colour.view(1, 3, 1, 1), alpha * mask.cpu().to(torch.float32))
    canvas = np.ascontiguousarray(to_array(tinted)[0])
    inks = to_array(colours[:, :, None, None])[:, 0, 0]
    for mask, ink in zip(instances.masks, inks, strict=True):
        _outline(canvas, _solid(mask), ink)
    if boxes:
        for box, ink in zip(instances.boxes_xyxy.tolist(), inks, strict=True):
            _frame(canvas, box, ink)
    if numbers:
        for index, mask in enumerate(instances.masks):
            _number(canvas, str(index), _solid(mask))
    return from_array(canvas)


def _solid(mask: Tensor) -> Array:
    hard = mask if mask.dtype == torch.bool else mask > _HALF
    return hard.cpu().numpy().view(np.uint8)


def _line_px(canvas: Array) -> int:
    """Return the width of lines: 2 at 600 px, 4 at 1080."""
    return max(1, round(min(canvas.shape[:2]) / 300))


def _outline(canvas: Array, mask: Array, ink: Array) -> None:
    from ..opencv import cv2

    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    width = _line_px(canvas)
    if width > 1:
        cv2.drawContours(canvas, contours, -1, _RIM, width + 2)
    cv2.drawContours(canvas, contours, -1, tuple(map(int, ink)), width)


def _frame(canvas: Array, box_xyxy: list[int], ink: Array) -> None:
    from ..opencv import cv2

    left, top, right, bottom = box_xyxy
    if right > left and bottom > top:
        corners = (left, top), (right - 1, bottom - 1)
        cv2.rectangle(canvas, *corners, tuple(map(int, ink)), _line_px(canvas))


def _number(canvas: Array, text: str, mask: Array) -> None:
    """Draw a number, white with a dark rim, where the mask is widest; it is pushed in at
    the border.
    """
    from ..opencv import cv2

    if not mask.any():
        return
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    middle_y, middle_x = np.unravel_index(int(depth.argmax()), depth.shape)
    side = min(canvas.shape[:2])
    height_px = float(np.clip(1.2 * depth.max(), max(11, 0.035 * side), 0.08 * side))
    stamp = _stamp(text, height_px)
    height, width = stamp.shape
    top = int(np.clip(middle_y - height // 2, 0, max(canvas.shape[0] - height, 0)))
    left = int(np.clip(middle_x - width // 2, 0, max(canvas.shape[1] - width, 0)))
    patch = canvas[top : top + height, left : left + width]
    stamp = stamp[: patch.shape[0], : patch.shape[1]]
    rim_px = _rim_px(height_px)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim_px + 1, 2 * rim_px + 1))
    for cover, colour in ((cv2.dilate(stamp, disk), _RIM), (stamp, _INK)):
        share = from_array(cover)[0, 0].numpy()[..., None]
        patch[...] = np.rint(patch * (1 - share) + np.array(colour) * share)


def _stamp(text: str, height_px: float) -> Array:
    """Draw digits of that height, H×W uint8, with just the room that their rim needs."""
    from ..opencv import cv2

    font = cv2.FONT_HERSHEY_SIMPLEX
    unit_px = cv2.getTextSize("0", font, 1.0, 1)[0][1]
    scale, stroke = height_px / unit_px, max(1, round(height_px / 6))
    (width, height), below = cv2.getTextSize(text, font, scale, stroke)
    room = stroke + below + 2
    stamp = np.zeros((height + 2 * room, width + 2 * room), np.uint8)
    cv2.putText(stamp, text, (room, room + height), font, scale, 255, stroke, cv2.LINE_AA)
    left, top, width, height = cv2.boundingRect(stamp)
    return np.pad(stamp[top : top + height, left : left + width], _rim_px(height_px))


def _rim_px(height_px: float) -> int:
    return max(1, round(height_px / 9))
