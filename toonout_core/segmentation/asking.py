"""What a segmenter can be asked: options, pictures and prompts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import Picture, PixelSource, read
from ..instances import Instances
from ..ops.checking import unit_planes
from ..ops.compositing import on_white
from ..words import Array

Area = Literal["picture", "box"]
Source = PixelSource | Picture | Tensor
Numbers = Sequence[Any] | Array | Tensor  # rows of numbers: nested lists, an array or a tensor

POINT_SIDE = 0.02  # of the picture's longer side: the box that stands for a point


@dataclass(frozen=True)
class SegmentOptions:
    """What counts as a character, and how its mask is made.

    `min_score`: characters with a lower score are left out. `max_iou`: two boxes that overlap more
    are one character. `limit`: how many are kept at most. `soft`: masks have values in [0, 1]
    instead of bool. `mask_threshold`: a coarse mask is where its values are above this;
    `refined_threshold`: the same of a refined mask. `area`: what the refiner sees at a time, the
    whole picture or the surroundings of one box. `side_px`: the side of the square that the
    detector sees, instead of its own. `min_area`: a region of a matte that is smaller than this
    share of the picture is no character.
    """

    min_score: float = 0.3
    max_iou: float = 0.6
    limit: int = 100
    soft: bool = False
    mask_threshold: float = 0.5
    refined_threshold: float = 0.3
    area: Area = "picture"
    side_px: int | None = None
    min_area: float = 0.01


DEFAULTS = SegmentOptions()


def seen(source: Source) -> Tensor:
    """Return B×3×H×W as networks see it: white behind a picture that is itself transparent."""
    if isinstance(source, Tensor):
        return unit_planes(source, "image", 3)
    picture = source if isinstance(source, Picture) else read(source)
    return on_white(picture.image, picture.alpha)


def read_boxes(image: Tensor, boxes_xyxy: Numbers) -> Tensor:
    """Read boxes for one picture: N×4 float32 on the CPU. Raises BadInput for anything else."""
    return _rows(image, boxes_xyxy, "boxes", 4).to(torch.float32)


def read_points(image: Tensor, points_xy: Numbers) -> Tensor:
    """Read points that all lie in the one picture: N×2 on the CPU. Raises BadInput for
    anything else.
    """
    points = _rows(image, points_xy, "points", 2)
    inside = ((points >= 0) & (points < torch.tensor([image.shape[-1], image.shape[-2]]))).all(1)
    if not bool(inside.all()):
        x, y = points[int((~inside).nonzero()[0])].tolist()
        raise BadInput(
            f"points must lie in the picture of {_spell(image)}",
            f"x {x:g}, y {y:g}",
            "Count pixels from the top left, from 0.",
        )
    return points


def read_masks(image: Tensor, masks: Numbers) -> Tensor:
    """Read masks of the one picture's size: N×H×W on the CPU, bool or float. Raises BadInput for
    others.
    """
    planes = _as_tensor(masks, "masks")
    is_mask = planes.dtype == torch.bool or planes.is_floating_point()
    if planes.ndim != 3 or len(image) != 1 or not is_mask:
        raise BadInput(
            "masks must be N×H×W, bool or float, for one picture",
            f"{planes.dtype} of shape {tuple(planes.shape)} for {len(image)} pictures",
        )
    if planes.shape[1:] != image.shape[2:]:
        raise BadInput(
            f"masks must have the picture's size {_spell(image)}",
            _spell(planes),
            "Resize them, or take the masks of the same picture.",
        )
    return planes


def _rows(image: Tensor, values: Numbers, name: str, width: int) -> Tensor:
    """Read N×`width` numbers for one picture."""
    rows = _as_tensor(values, name)
    if rows.shape == (0,):  # what an empty list becomes
        rows = rows.view(0, width)
    if rows.ndim != 2 or rows.shape[1] != width or len(image) != 1:
        raise BadInput(
            f"{name} must be N×{width}, for one picture",
            f"{tuple(rows.shape)} for {len(image)} pictures",
        )
    return rows


def _as_tensor(values: Numbers, name: str) -> Tensor:
    try:
        return torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"{name} must be numbers in rows of one length",
            f"a {type(values).__name__} that is something else",
            "Give a nested list, an array or a tensor.",
        ) from error


def boxes_at_points(points_xy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Draw a small square around each of N×2 points, cut at the picture's edges → N×4 int64."""
    half = max(round(max(size_hw) * POINT_SIDE / 2), 1)
    whole = points_xy.cpu().to(torch.float64).floor().to(torch.int64)
    limits = torch.tensor([size_hw[1], size_hw[0]])
    corners = (whole - half).clamp(min=0), torch.minimum(whole + half + 1, limits)
    return torch.cat(corners, 1)


def box_as_mask(box_xyxy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Draw the rectangle of 4 numbers, H×W bool. In training a quarter of the coarse
    masks are such.
    """
    mask = torch.zeros(size_hw, dtype=torch.bool)
    left, top, right, bottom = (max(round(edge), 0) for edge in box_xyxy.tolist())
    mask[top:bottom, left:right] = True
    return mask


def prompted(masks: Tensor, options: SegmentOptions) -> Instances:
    """Give the masks of a user the type that `options` ask for; their scores are 1."""
    if options.soft:
        return Instances.from_masks(masks.to(torch.float32).clamp(0, 1))
    return Instances.from_masks(masks if masks.dtype == torch.bool else masks > 0.5)


def _spell(planes: Tensor) -> str:
    """Spell width × height, as one says it."""
    return f"{planes.shape[-1]}×{planes.shape[-2]}"
