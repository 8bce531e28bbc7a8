"""Characters one by one: cut out of a picture for work on each, and laid back into it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from .errors import BadInput
from .instances import Instances
from .ops.adjust import feather
from .ops.blur import mirror_indices
from .ops.morphology import grow
from .ops.regions import boxes_from_masks
from .ops.resizing import resize

Scale = Literal["none", "longer side", "area"]

_VISIBLE = 1 / 512  # less than half a level of 8 bit is nothing
_BENT = 0.1  # by how much the aspect of a piece may differ from that of its crop


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
    box_xyxy: tuple[int, int, int, int]
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
        """B×C×size → B×C×h×w, the part that lies in the picture, at the picture's scale."""
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


# ---------------------------------------------------------------- cutting


def crop_frames(
    image: Tensor, frames: Sequence[Instances], options: CropOptions = CropOptions()
) -> list[Crop]:
    """B×3×H×W and the characters of each frame → their crops, frame by frame, in their order.

    The background's follows those of its frame. Where there is no character at all, the whole
    picture with an empty mask is the only crop: work on it changes nothing, and lists stay lists.
    """
    if len(image) != len(frames):
        raise BadInput(
            f"there must be instances for each of {len(image)} frames", f"those of {len(frames)}"
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
    if instances.size_hw != tuple(image.shape[-2:]):
        raise BadInput(
            f"instances must belong to the picture of {image.shape[-1]}×{image.shape[-2]}",
            f"masks of {instances.size_hw[1]}×{instances.size_hw[0]}",
            "Connect the picture in which they were found.",
        )
    crops = [
        _cut(image, mask, _surroundings(mask, options), number, options) for mask in instances.masks
    ]
    if options.background:
        mask = instances.background()[0, 0]
        crop = _cut(image, mask, _whole(mask), number, options)
        crops.append(replace(crop, region=replace(crop.region, is_background=True)))
    return crops


def _whole(mask: Tensor) -> tuple[int, int, int, int]:
    return 0, 0, int(mask.shape[-1]), int(mask.shape[-2])


def _surroundings(mask: Tensor, options: CropOptions) -> tuple[int, int, int, int]:
    """The mask's box with its padding, as far as the picture goes; of an empty mask: all of it."""
    left, top, right, bottom = (int(edge) for edge in boxes_from_masks(mask[None] > _VISIBLE)[0])
    if right == left:
        return _whole(mask)
    longer = max(right - left, bottom - top)
    room = options.padding_px + round(options.padding * longer) + math.ceil(options.grow_px)
    height, width = mask.shape
    return (
        max(left - room, 0),
        max(top - room, 0),
        min(right + room, int(width)),
        min(bottom + room, int(height)),
    )


def crop_box(
    box_xyxy: tuple[int, int, int, int], picture_hw: tuple[int, int], options: CropOptions
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """The box widened to an accepted size, and the size h×w that a crop of it gets.

    It is moved into the picture; only where the picture is too small it ends beyond it.
    """
    left, top, right, bottom = box_xyxy
    height, width = bottom - top, right - left
    ratio = {
        "none": 1.0,
        "longer side": options.resolution_px / max(height, width),
        "area": options.resolution_px / math.sqrt(height * width),
    }[options.scale]
    size_hw = _step_up(height * ratio, options), _step_up(width * ratio, options)
    top, bottom = _widened(top, bottom, max(round(size_hw[0] / ratio), height), picture_hw[0])
    left, right = _widened(left, right, max(round(size_hw[1] / ratio), width), picture_hw[1])
    return (left, top, right, bottom), size_hw


def _step_up(side: float, options: CropOptions) -> int:
    # a side that is a multiple already must not go one further by an error of rounding
    steps = math.ceil(side / options.multiple_of - 1e-6)
    return max(steps, 1) * options.multiple_of


def _widened(start: int, stop: int, length: int, limit: int) -> tuple[int, int]:
    """So long, around the same middle, moved inside of 0 … limit as far as that can be."""
    start -= (length - (stop - start)) // 2
    start = max(min(start, limit - length), 0)
    return start, start + length


def _cut(
    image: Tensor,
    mask: Tensor,
    box_xyxy: tuple[int, int, int, int],
    frame: int,
    options: CropOptions,
) -> Crop:
    picture_hw = int(image.shape[-2]), int(image.shape[-1])
    box, size_hw = crop_box(box_xyxy, picture_hw, options)
    weights = grow(_window(mask[None, None].to(torch.float32), box), options.grow_px)
    region = CropRegion(0, 1, frame, picture_hw, box, size_hw, weights[0, 0])
    picture = rescale(_window(image, box), size_hw)
    return Crop(picture, resize(weights, size_hw), region)


def _window(planes: Tensor, box_xyxy: tuple[int, int, int, int]) -> Tensor:
    """The box' part of B×C×H×W; mirrored where it ends beyond."""
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
    """Bicubic, antialiased where it shrinks; B×C×H×W in [0, 1] → B×C×h×w. Same size: itself."""
    if tuple(image.shape[-2:]) == size_hw:
        return image
    shrinks = size_hw[0] < image.shape[-2] or size_hw[1] < image.shape[-1]
    return functional.interpolate(
        image.to(torch.float32), size_hw, mode="bicubic", align_corners=False, antialias=shrinks
    ).clamp_(0, 1)


# ---------------------------------------------------------------- pasting


def paste_crops(
    image: Tensor,
    pieces: Sequence[Tensor],
    regions: Sequence[CropRegion],
    masks: Sequence[Tensor] | None = None,
    *,
    feather_px: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Lay crops (each b×3×h×w) back into B×3×H×W; later ones on top, backgrounds below all.

    `masks`: 1×1×h×w each, instead of those that the regions carry. `feather_px`: over how many
    pixels, from a mask's edge inwards, a piece fades in. Where masks overlap, the upper one has
    what it asks for and the lower ones share the rest, so that mattes which sum to one leave
    nothing of the old picture. What no mask covers stays as it is, bit for bit.

    Returns the picture and what was changed, b×1×H×W. For one picture, pieces of b versions each
    make b pictures.
    """
    _check_pieces(image, pieces, regions, masks)
    versions = max((len(piece) for piece in pieces), default=1)
    result = image.repeat(versions, 1, 1, 1) if len(image) == 1 else image.clone()
    changed = image.new_zeros((len(image), 1, *image.shape[-2:]))
    for frame in range(len(image)):
        numbers = [i for i, region in enumerate(regions) if region.frame == frame]
        numbers.sort(key=lambda i: not regions[i].is_background)
        weights = [_weights(regions[i], masks[i] if masks else None, feather_px) for i in numbers]
        places = [regions[i].inside for i in numbers]
        shares, rest = _share_out(weights, places, regions[0].picture_hw)
        changed[frame] = 1 - rest
        target = result if len(image) == 1 else result[frame : frame + 1]
        for i, share, place in zip(numbers, shares, places, strict=True):
            _lay_over(target, regions[i].to_box(pieces[i]), share, rest, place)
    return result, changed.repeat(versions, 1, 1, 1) if len(image) == 1 else changed


def _weights(region: CropRegion, mask: Tensor | None, feather_px: float) -> Tensor:
    """h×w of the part in the picture."""
    left, top, right, bottom = region.box_xyxy
    weights = region.mask[None, None]
    if mask is not None:
        weights = resize(mask, (bottom - top, right - left)).cpu()
    weights = fade_in(weights, feather_px)
    rows, columns = region.inside
    return weights[0, 0, : rows.stop - rows.start, : columns.stop - columns.start]


def fade_in(mask: Tensor, width_px: float) -> Tensor:
    """B×1×H×W in [0, 1]: from 0 at its edge to itself width_px further in; nowhere larger."""
    if width_px == 0:
        return mask
    soft = feather(grow(mask, -width_px / 2), width_px / 2)
    return torch.minimum(soft, mask.to(torch.float32))


def _share_out(
    weights: Sequence[Tensor], places: Sequence[tuple[slice, slice]], picture_hw: tuple[int, int]
) -> tuple[list[Tensor], Tensor]:
    """What each of the weights gets, the last one first; and H×W, what is left to the picture."""
    rest = torch.ones(picture_hw)
    shares: list[Tensor] = []
    for wanted, place in zip(reversed(weights), reversed(places), strict=True):
        share = torch.minimum(wanted, rest[place])
        rest[place] -= share
        shares.append(share)
    return shares[::-1], rest


def _lay_over(
    target: Tensor, piece: Tensor, share: Tensor, below: Tensor, place: tuple[slice, slice]
) -> None:
    """Both `target` and `below`, the sum of what lies under the piece, in place."""
    below[place] += share
    # of what is visible so far; 0 and 1 stay exact
    opacity = torch.where(share > 0, share / below[place].clamp_min(1e-12), share)
    opacity = opacity.clamp_(0, 1).to(target)
    old = target[..., place[0], place[1]]
    mixed = torch.lerp(old, piece.to(target).expand_as(old), opacity.expand_as(old))
    old.copy_(torch.where(opacity > 0, mixed, old))


def _check_pieces(
    image: Tensor,
    pieces: Sequence[Tensor],
    regions: Sequence[CropRegion],
    masks: Sequence[Tensor] | None,
) -> None:
    counts = {"crops": len(pieces), "regions": len(regions)}
    if masks is not None:
        counts["masks"] = len(masks)
    if len(set(counts.values())) > 1 or not regions:
        raise BadInput(
            "there must be a crop and a mask for every region",
            ", ".join(f"{count} {name}" for name, count in counts.items()),
            "Connect all of them to the same crop node, with nothing between that joins them.",
        )
    size_hw = (int(image.shape[-2]), int(image.shape[-1]))
    versions = {len(piece) for piece in pieces} - {1}
    if len(versions) > 1 or (versions and len(image) > 1):
        raise BadInput(
            "crops must be one picture each, or equally many versions for one picture",
            f"{sorted(len(piece) for piece in pieces)} for {len(image)}",
        )
    for region, piece in zip(regions, pieces, strict=True):
        if region.picture_hw != size_hw or region.frame >= len(image):
            raise BadInput(
                f"regions must belong to the image of {size_hw[1]}×{size_hw[0]}",
                f"one of frame {region.frame} of {region.picture_hw[1]}×{region.picture_hw[0]}",
                "Connect the picture that was cut.",
            )
        _check_aspect(piece, region)


def _check_aspect(piece: Tensor, region: CropRegion) -> None:
    (height, width), (expected_h, expected_w) = piece.shape[-2:], region.size_hw
    if abs(height * expected_w / (width * expected_h) - 1) > _BENT:
        raise BadInput(
            f"crop {region.index} must have the shape of its region, {expected_w}×{expected_h}",
            f"{width}×{height}",
            "Keep the order and the shape of the crops; only their size may change.",
        )
