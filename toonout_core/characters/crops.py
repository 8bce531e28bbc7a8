"""Cut characters out of their picture one by one, for work on each; pasting.py lays them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from ..instances import Instances, require_picture_of
from ..ops.blur import mirror_indices
from ..ops.morphology import grow
from ..ops.regions import boxes_from_masks, expand_box
from ..ops.resizing import resize

Scale = Literal["none", "longer side", "area"]

Box = tuple[int, int, int, int]

FAINT = 0.1  # haze of a matte: it neither makes a crop larger nor grows


@dataclass(frozen=True)
class CropOptions:
    """How much of the picture a crop shows, and at what size.

    padding_px     around the mask, and `padding` of the mask's longer side on top
    multiple_of    both sides of the crop are multiples of it
    scale          "longer side", "area": enlarged or reduced until that side, or the square root
                   of the area, is `resolution_px`
    grow_px        mask's edge moved outwards first
    background     what belongs to no character follows as one more crop, of the whole picture
    """

    padding_px: int = 32
    padding: float = 0.0
    multiple_of: int = 64
    scale: Scale = "none"
    resolution_px: int = 1024
    grow_px: float = 0.0
    background: bool = False

    def __post_init__(self) -> None:
        if self.scale not in get_args(Scale):
            raise BadInput(f"scale must be one of {', '.join(get_args(Scale))}", repr(self.scale))
        if self.multiple_of < 1 or self.resolution_px < 1:
            raise BadInput(
                "multiple_of and resolution_px must be at least 1",
                f"{self.multiple_of} and {self.resolution_px}",
            )
        if self.padding_px < 0 or self.padding < 0 or self.grow_px < 0:
            raise BadInput(
                "padding_px, padding and grow_px must not be negative",
                f"{self.padding_px}, {self.padding} and {self.grow_px}",
            )


@dataclass(frozen=True, eq=False)
class CropRegion:
    """Where a crop belongs: number `index` of the `count` crops that were made together.

    `box_xyxy` in pixels of frame `frame`; x1 and y1 lie beyond a picture that is too small for
    the crop. `mask` h×w of the box, [0, 1]: what may be changed. `size_hw` of the crop's picture.
    """

    index: int
    count: int
    frame: int
    picture_hw: tuple[int, int]
    box_xyxy: Box
    size_hw: tuple[int, int]
    mask: Tensor
    is_background: bool = False

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the crop shows."""
        left, top, right, bottom = self.box_xyxy
        height, width = self.picture_hw
        return slice(top, min(bottom, height)), slice(left, min(right, width))

    def to_box(self, planes: Tensor) -> Tensor:
        """B×C×size → B×C×h×w: the part that lies in the picture, at the picture's scale."""
        left, top, right, bottom = self.box_xyxy
        rows, columns = self.inside
        scaled = rescale(planes, (bottom - top, right - left))
        return scaled[..., : rows.stop - rows.start, : columns.stop - columns.start]


@dataclass(frozen=True, eq=False)
class Crop:
    """`picture` 1×3×h×w and `mask` 1×1×h×w of one character, and where they come from."""

    picture: Tensor
    mask: Tensor
    region: CropRegion


def crop_frames(
    image: Tensor, frames: Sequence[Instances], options: CropOptions = CropOptions()
) -> list[Crop]:
    """B×3×H×W and the characters of each frame → their crops, frame by frame, in their order.

    The background's crop follows those of its frame. Where there is no character at all, the only
    crop is the whole picture with an empty mask: work on it changes nothing, and lists stay lists.
    """
    if len(image) != len(frames):
        raise BadInput(
            f"there must be characters for each of {len(image)} pictures",
            f"those of {len(frames)}",
            "Find them in the same batch of pictures.",
        )
    crops: list[Crop] = []
    for number, instances in enumerate(frames):
        crops += _crop_frame(image[number : number + 1], instances, number, options)
    if not crops:
        nothing = torch.zeros(image.shape[-2:])
        crops = [_cut(image[:1], nothing, _whole(nothing), 0, options)]
    return [
        replace(crop, region=replace(crop.region, index=index, count=len(crops)))
        for index, crop in enumerate(crops)
    ]


def _crop_frame(
    image: Tensor, instances: Instances, number: int, options: CropOptions
) -> list[Crop]:
    require_picture_of(instances, image)
    crops = [
        _cut(image, mask, _held(mask, options.grow_px), number, options) for mask in instances.masks
    ]
    if options.background:
        mask = instances.background()[0, 0].to(torch.float32)
        crop = _cut(image, mask, _whole(mask), number, options)
        crops.append(replace(crop, region=replace(crop.region, is_background=True)))
    return crops


def _whole(mask: Tensor) -> Box:
    return 0, 0, int(mask.shape[-1]), int(mask.shape[-2])


def _held(mask: Tensor, grow_px: float) -> Box:
    """Return the box of the grown mask; all of the picture for an empty one."""
    left, top, right, bottom = (int(edge) for edge in boxes_from_masks(mask[None] > FAINT)[0])
    if right == left:
        return _whole(mask)
    return _expanded((left, top, right, bottom), math.ceil(grow_px), mask)


def _expanded(box_xyxy: Box, margin_px: int, plane: Tensor) -> Box:
    left, top, right, bottom = expand_box(
        box_xyxy, margin_px, (int(plane.shape[-2]), int(plane.shape[-1]))
    )
    return left, top, right, bottom


def crop_box(
    box_xyxy: Box, picture_hw: tuple[int, int], options: CropOptions, least_xyxy: Box | None = None
) -> tuple[Box, tuple[int, int]]:
    """The box widened to an accepted size, and the size h×w that a crop of it gets.

    It is moved into the picture. Where that is too small, surroundings are given up as far as
    `least_xyxy` allows, and if that does not help the box ends beyond the picture.
    """
    left, top, right, bottom = box_xyxy
    least = least_xyxy or box_xyxy
    height, width = bottom - top, right - left
    ratio = {
        "none": 1.0,
        "longer side": options.resolution_px / max(height, width),
        "area": options.resolution_px / math.sqrt(height * width),
    }[options.scale]
    rows = _Span(top, bottom, least[1], least[3], picture_hw[0])
    columns = _Span(left, right, least[0], least[2], picture_hw[1])
    top, bottom, out_h = rows.widened(ratio, options)
    left, right, out_w = columns.widened(ratio, options)
    return (left, top, right, bottom), (out_h, out_w)


@dataclass(frozen=True)
class _Span:
    """One axis of a box, the part that it must hold, and the length of the picture."""

    start: int
    stop: int
    least_start: int
    least_stop: int
    limit: int

    def widened(self, ratio: float, options: CropOptions) -> tuple[int, int, int]:
        """Start, stop, and the size of that in the crop."""
        length = self.stop - self.start
        size = _step_up(length * ratio, options)
        taken = max(round(size / ratio), length)
        smaller = size - options.multiple_of
        if taken > self.limit and smaller > 0:
            short = math.floor(smaller / ratio)
            if self.least_stop - self.least_start <= short <= self.limit:
                size, taken = smaller, short
        start = self.start - (taken - length) // 2
        if taken < length:  # what must be held stays within
            start = max(min(start, self.least_start), self.least_stop - taken)
        start = max(min(start, self.limit - taken), 0)
        return start, start + taken, size


def _step_up(side: float, options: CropOptions) -> int:
    # a side that is a multiple already must not go one further by an error of rounding
    steps = math.ceil(side / options.multiple_of - 1e-6)
    return max(steps, 1) * options.multiple_of


def _cut(image: Tensor, mask: Tensor, held: Box, frame: int, options: CropOptions) -> Crop:
    picture_hw = int(image.shape[-2]), int(image.shape[-1])
    longer = max(held[2] - held[0], held[3] - held[1])
    margin_px = options.padding_px + round(options.padding * longer)
    box, size_hw = crop_box(_expanded(held, margin_px, mask), picture_hw, options, held)
    weights = _grown(_window(mask[None, None].to(torch.float32), box), options.grow_px)
    region = CropRegion(0, 1, frame, picture_hw, box, size_hw, weights[0, 0])
    picture = rescale(_window(image, box), size_hw)
    return Crop(picture, resize(weights, size_hw), region)


def _grown(mask: Tensor, grow_px: float) -> Tensor:
    if grow_px == 0:
        return mask
    return torch.maximum(mask, grow(mask * (mask > FAINT), grow_px))


def _window(planes: Tensor, box_xyxy: Box) -> Tensor:
    """Return the box' part of B×C×H×W, mirrored where the box ends beyond the picture."""
    left, top, right, bottom = box_xyxy
    height, width = int(planes.shape[-2]), int(planes.shape[-1])
    part = planes[..., top : min(bottom, height), left : min(right, width)]
    rows = mirror_indices(part.shape[-2], 0, max(bottom - height, 0))
    columns = mirror_indices(part.shape[-1], 0, max(right - width, 0))
    device = planes.device
    return part.index_select(-2, torch.tensor(rows, device=device)).index_select(
        -1, torch.tensor(columns, device=device)
    )


def rescale(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize B×C×H×W in [0, 1] → B×C×h×w: bicubic, antialiased where it shrinks."""
    if tuple(image.shape[-2:]) == size_hw:
        return image
    shrinks = size_hw[0] < image.shape[-2] or size_hw[1] < image.shape[-1]
    return functional.interpolate(
        image.to(torch.float32), size_hw, mode="bicubic", align_corners=False, antialias=shrinks
    ).clamp_(0, 1)
