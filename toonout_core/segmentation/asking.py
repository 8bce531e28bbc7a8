"""What every segmenter can be asked, whether it has a detector or only a matte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import Picture, PixelSource, read
from ..instances import Instances
from ..ops.checking import unit_planes
from ..ops.compositing import on_white

Area = Literal["picture", "box"]

POINT_SIDE = 0.02  # of the picture's longer side: the box that stands for a point


@dataclass(frozen=True)
class SegmentOptions:
    """What counts as a character, and how its mask is made.

    `min_score`: of the detector. `max_iou`: of two boxes that are two characters. `limit`: best
    ones kept. `soft`: masks in [0, 1] instead of bool. `mask_threshold`: where a coarse mask
    begins; `refined_threshold`: a refined one. `area`: what the refiner sees at a time.
    `side_px`: of the square that the detector sees, instead of its own. `min_area`: of a matte's
    region that is a character, as a share of the picture.
    `reference_quirks`: masks and boxes with the defects of the published program, for comparison.
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
    reference_quirks: bool = False


DEFAULTS = SegmentOptions()


class InstanceSegmenter(Protocol):
    """Finds characters, or cuts those out that it is shown; `load_segmenter` returns one."""

    @property
    def name(self) -> str:
        """Of the model that finds."""
        ...

    def __call__(self, source: PixelSource | Picture, options: SegmentOptions = ...) -> Instances:
        """A path, open file, PIL picture or Picture → its characters."""
        ...

    def segment(
        self, image: Tensor, options: SegmentOptions = ..., *, label: str = ...
    ) -> list[Instances]:
        """B×3×H×W in [0, 1] → the characters of every frame, on the CPU."""
        ...

    def segment_boxes(
        self,
        image: Tensor,
        boxes_xyxy: Tensor,
        options: SegmentOptions = ...,
        *,
        min_iou: float = ...,
    ) -> Instances:
        """1×3×H×W and N×4 in pixels → one character for each box, in the order of the boxes."""
        ...

    def segment_masks(
        self, image: Tensor, masks: Tensor, options: SegmentOptions = ...
    ) -> Instances:
        """1×3×H×W and N×H×W → the masks made to follow the drawing, in their order."""
        ...

    def segment_points(
        self, image: Tensor, points_xy: Tensor, options: SegmentOptions = ...
    ) -> Instances:
        """1×3×H×W and N×2 in pixels → the character under each point, in their order."""
        ...


def seen(source: PixelSource | Picture) -> Tensor:
    """1×3×H×W that networks see: white behind a picture that is itself transparent."""
    picture = source if isinstance(source, Picture) else read(source)
    return on_white(picture.image, picture.alpha)


def check_frames(image: Tensor) -> None:
    """B×3×H×W of floats in [0, 1], or BadInput."""
    unit_planes(image, "image", 3)


def check_boxes(image: Tensor, boxes_xyxy: Tensor) -> None:
    """One picture and N×4, or BadInput."""
    check_frames(image)
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4 or len(image) != 1:
        raise BadInput(
            "boxes must be N×4, for one picture",
            f"{tuple(boxes_xyxy.shape)} for {len(image)} pictures",
        )


def check_masks(image: Tensor, masks: Tensor) -> None:
    """One picture and N×H×W of its size, bool or float, or BadInput."""
    check_frames(image)
    if masks.ndim != 3 or len(image) != 1 or not _is_mask(masks):
        raise BadInput(
            "masks must be N×H×W, bool or float, for one picture",
            f"{masks.dtype} of shape {tuple(masks.shape)} for {len(image)} pictures",
        )
    if masks.shape[1:] != image.shape[2:]:
        raise BadInput(
            f"masks must have the picture's size {_spell(image)}",
            _spell(masks),
            "Resize them, or take the masks of the same picture.",
        )


def check_points(image: Tensor, points_xy: Tensor) -> None:
    """One picture and N×2 within it, or BadInput."""
    check_frames(image)
    if points_xy.ndim != 2 or points_xy.shape[1] != 2 or len(image) != 1:
        raise BadInput(
            "points must be N×2, for one picture",
            f"{tuple(points_xy.shape)} for {len(image)} pictures",
        )
    limits = torch.tensor([image.shape[-1], image.shape[-2]])
    inside = ((points_xy.cpu() >= 0) & (points_xy.cpu() < limits)).all(1)
    if not bool(inside.all()):
        x, y = points_xy[int((~inside).nonzero()[0])].tolist()
        raise BadInput(
            f"points must lie in the picture of {_spell(image)}",
            f"x {x:g}, y {y:g}",
            "Count pixels from the top left, from 0.",
        )


def boxes_at_points(points_xy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """N×2 → N×4 int64: a small square around each point, as far as the picture goes."""
    half = max(round(max(size_hw) * POINT_SIDE / 2), 1)
    whole = points_xy.cpu().to(torch.float64).floor().to(torch.int64)
    limits = torch.tensor([size_hw[1], size_hw[0]])
    corners = (whole - half).clamp(min=0), torch.minimum(whole + half + 1, limits)
    return torch.cat(corners, 1)


def boxes_as_masks(boxes_xyxy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """N×4 → N×H×W bool rectangles, as training gives one as coarse mask in a quarter of cases."""
    masks = torch.zeros((len(boxes_xyxy), *size_hw), dtype=torch.bool)
    for mask, box in zip(masks, boxes_xyxy.tolist(), strict=True):
        left, top, right, bottom = (max(round(edge), 0) for edge in box)
        mask[top:bottom, left:right] = True
    return masks


def prompted(masks: Tensor, options: SegmentOptions) -> Instances:
    """Masks that a user gives, of the type that `options` ask for, on the CPU; scores 1."""
    given = masks.detach().cpu()
    if options.soft:
        return Instances.from_masks(given.to(torch.float32).clamp(0, 1))
    return Instances.from_masks(given if given.dtype == torch.bool else given > 0.5)


def _is_mask(masks: Tensor) -> bool:
    return masks.dtype == torch.bool or masks.is_floating_point()


def _spell(planes: Tensor) -> str:
    """Width × height, as people say it."""
    return f"{planes.shape[-1]}×{planes.shape[-2]}"
