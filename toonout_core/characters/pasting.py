"""Lay crops of characters that were worked on back into their picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import BadInput
from ..ops.morphology import signed_distance
from ..ops.resizing import resize
from .crops import FAINT, CropRegion

_BENT = 0.1  # by how much the aspect of a piece may differ from that of its crop


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
    pixels, from a mask's edge inwards, a piece fades in. Where masks overlap, the upper one gets
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
    """Return h×w, the weight of the piece in its part of the picture."""
    left, top, right, bottom = region.box_xyxy
    weights = region.mask[None, None]
    if mask is not None:
        weights = resize(mask, (bottom - top, right - left))
    weights = fade_in(weights.cpu(), feather_px)
    rows, columns = region.inside
    return weights[0, 0, : rows.stop - rows.start, : columns.stop - columns.start]


def fade_in(mask: Tensor, width_px: float) -> Tensor:
    """Fade B×1×H×W in [0, 1] from 0 at its edge to itself width_px further in; nowhere is it
    larger.

    What is thinner than that stays visible in its middle. The border of the plane is no edge.
    """
    if width_px == 0:
        return mask
    depth_px = signed_distance(mask > FAINT)
    return torch.minimum(mask.to(torch.float32), (depth_px / width_px).clamp(0, 1))


def _share_out(
    weights: Sequence[Tensor], places: Sequence[tuple[slice, slice]], picture_hw: tuple[int, int]
) -> tuple[list[Tensor], Tensor]:
    """Return what each of the weights gets, the last one first, and H×W that is left to
    the picture.
    """
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
    """Add the piece to `target`, and its weight to `below`, the sum of what lies under
    it, in place.
    """
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
