"""Make characters of the segments (of Segment Anything) that lie in a detector's masks.

A detector knows who is a character, but draws soft outlines. Segment Anything draws exact ones, but
knows no characters. After "Anime Character Segmentation with YOLOv8 and Segment-Anything".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from ..instances import Instances
from ..ops.morphology import dilate, erode
from ..ops.regions import boxes_from_masks, expand_box
from ..ops.resizing import resize

Vote = Literal["coverage", "iou"]

_HALF = 0.5  # where a soft segment ends
_MAX_DISTORTION = 0.1  # of the aspect ratio, between masks and segments of one picture


@dataclass(frozen=True)
class FusionOptions:
    """How segments are given to characters.

    `vote`: "coverage" is the part of a segment that lies in the character's mask; "iou" is its IoU
    with that mask, which only segments of nearly the whole character win. A segment is taken if its
    vote is above `min_vote`. Before that the masks are eroded and dilated, `erosions` and
    `dilations` times, by a disk of `radius_px` of the picture. Without `per_instance` all
    characters become one mask.
    """

    vote: Vote = "coverage"
    min_vote: float = 0.3
    radius_px: int = 2
    erosions: int = 3
    dilations: int = 2
    per_instance: bool = True


def fuse(
    detected: Instances | Tensor, segments: Tensor, options: FusionOptions = FusionOptions()
) -> Instances:
    """Masks N×H×W and segments M×h×w of one picture → the same characters with exact outlines.

    Each segment goes to the one character that it supports most. Where no segment is, the
    detector's mask stays, eroded and dilated. Soft masks (float in [0, 1]) give soft ones. Segments
    may be of another size, and may be soft or overlap. A character of which nothing is left is left
    out.
    """
    if options.vote not in get_args(Vote):
        raise BadInput(f"vote must be one of {', '.join(get_args(Vote))}", repr(options.vote))
    instances = detected if isinstance(detected, Instances) else Instances.from_masks(detected)
    if not options.per_instance and len(instances):
        instances = Instances.from_masks(instances.union()[0], instances.scores.max()[None])
    _check(segments, instances.size_hw)
    solid = segments if segments.dtype == torch.bool else segments > _HALF
    solid = solid.to(instances.masks.device)
    firm = torch.zeros_like(instances.masks)
    for index, mask in enumerate(instances.masks):
        firm[index] = _firm(mask, options)
    owners = _owners(_at_size(firm, solid), solid, options)
    free = ~_enlarged(solid.any(0), instances.size_hw)
    for index, mask in enumerate(firm):
        taken = torch.zeros_like(solid[0] if len(solid) else free)
        for segment, owner in zip(solid, owners, strict=True):
            if owner == index:
                taken |= segment
        exact = _enlarged(taken, instances.size_hw).to(mask.dtype)
        mask.mul_(free).copy_(torch.maximum(mask, exact))
    fused = replace(instances.with_masks(firm), origin="detector and segments")
    left = fused.boxes_xyxy[:, 2] > 0
    return fused if bool(left.all()) else fused[left]


def _check(segments: Tensor, size_hw: tuple[int, int]) -> None:
    if segments.ndim != 3:
        raise BadInput("segments must be M×H×W", f"shape {tuple(segments.shape)}")
    height, width = int(segments.shape[-2]), int(segments.shape[-1])
    distortion = (height * size_hw[1]) / max(width * size_hw[0], 1)
    if not 1 - _MAX_DISTORTION < distortion < 1 + _MAX_DISTORTION:
        raise BadInput(
            f"segments must be of the masks' picture, which is {size_hw[1]}×{size_hw[0]}",
            f"{width}×{height}",
            "Connect segments of the same picture, not padded.",
        )


def _firm(mask: Tensor, options: FusionOptions) -> Tensor:
    """Take away from H×W what is thin or near the edge; only the mask's surroundings
    are computed.
    """
    margin = options.radius_px * options.dilations + 1
    solid = mask if mask.dtype == torch.bool else mask > 0
    box = boxes_from_masks(solid[None])[0].tolist()
    left, top, right, bottom = expand_box(box, margin, (mask.shape[-2], mask.shape[-1]))
    part = mask[None, None, top:bottom, left:right]
    # n disks one after the other are one of n times the radius
    part = erode(part, options.radius_px * options.erosions)
    part = dilate(part, options.radius_px * options.dilations)
    firm = torch.zeros_like(mask)
    firm[top:bottom, left:right] = part[0, 0]
    return firm


def _at_size(masks: Tensor, like: Tensor) -> Tensor:
    """N×H×W → N×h×w if that is another size: what each pixel covers on average."""
    size_hw = (int(like.shape[-2]), int(like.shape[-1]))
    if masks.shape[-2:] == size_hw:
        return masks
    resized = torch.zeros((len(masks), *size_hw), device=masks.device)
    for index, mask in enumerate(masks):
        resized[index] = resize(mask[None, None], size_hw)[0, 0]
    return resized


def _enlarged(mask: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Enlarge H×W bool. Masks that share out the plane between them still do so afterwards.

    For that the nearest pixel decides where the smooth outline is undecided.
    """
    if mask.shape == size_hw:
        return mask
    plane = mask[None, None].to(torch.float32)
    smooth = functional.interpolate(plane, size_hw, mode="bilinear", align_corners=False)
    nearest = functional.interpolate(plane, size_hw, mode="nearest-exact")
    return torch.lerp(smooth, nearest, 1e-3)[0, 0] > _HALF


def _owners(masks: Tensor, segments: Tensor, options: FusionOptions) -> list[int | None]:
    """Find for each segment the mask that wins most of it, if that is enough."""
    areas = [float(mask.sum(dtype=torch.float64)) for mask in masks]
    owners: list[int | None] = []
    for segment in segments:
        left, top, right, bottom = boxes_from_masks(segment[None])[0].tolist()
        inside = segment[top:bottom, left:right]
        area = int(inside.sum())
        votes = [0.0] * len(masks)
        for index, mask in enumerate(masks if area else ()):
            shared = float(mask[top:bottom, left:right][inside].sum(dtype=torch.float64))
            whole = area if options.vote == "coverage" else area + areas[index] - shared
            votes[index] = shared / whole
        best = max(range(len(votes)), key=votes.__getitem__, default=None)
        owners.append(best if best is not None and votes[best] > options.min_vote else None)
    return owners
