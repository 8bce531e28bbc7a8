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


def paste_runs(
    images: Sequence[tuple[Tensor, Tensor | None]],
    pieces: Sequence[Tensor],
    regions: Sequence[CropRegion],
    masks: Sequence[Tensor] | None = None,
    *,
    feather_px: float = 0.0,
    on_top: str = "last",
) -> list[tuple[Tensor, Tensor]]:
    """Paste the crops of several images, which were cropped one after the other, as `paste_crops`
    does it.

    `images`: colours B×3×H×W and alpha B×1×H×W, or None if they are opaque. `on_top`: which of the
    pieces is in front, the "first" or the "last". Returns for each image the picture, with its
    alpha as a fourth channel, and what was changed.
    """
    groups = _runs(regions)
    _check_counts(pieces, regions, masks)
    if len(groups) != len(images):
        raise BadInput(
            "there must be one image for each run of Crop Characters",
            f"{len(images)} images and {len(groups)} runs",
            "Connect the same image here as there.",
        )
    results: list[tuple[Tensor, Tensor]] = []
    for (picture, alpha), numbers in zip(images, groups, strict=True):
        order = numbers if on_top == "last" else numbers[::-1]
        own = [regions[i] for i in order]
        if len(picture) == 1:  # which was cropped by the instances of more frames
            picture = picture.expand(max(region.frame for region in own) + 1, -1, -1, -1)
        given = None if masks is None else [masks[i] for i in order]
        result, changed = paste_crops(
            picture, [pieces[i] for i in order], own, given, feather_px=feather_px
        )
        if alpha is not None:
            opacity = alpha.expand(len(result), -1, -1, -1)
            result = torch.cat((result, opacity.to(result)), 1)
        results.append((result, changed))
    return results


def _runs(regions: Sequence[CropRegion]) -> list[list[int]]:
    """Return places in the list of the regions that were made together: those of one image."""
    groups: list[list[int]] = []
    for place, region in enumerate(regions):
        if region.index == 0 or not groups:
            groups.append([])
        groups[-1].append(place)
    return groups


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
    _check_counts(pieces, regions, masks)
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


def _check_counts(
    pieces: Sequence[Tensor], regions: Sequence[CropRegion], masks: Sequence[Tensor] | None
) -> None:
    counts = {"regions": len(regions), "crops": len(pieces)}
    if masks is not None:
        counts["masks"] = len(masks)
    if len(set(counts.values())) > 1 or not regions:
        raise BadInput(
            "there must be a crop (and a mask) for every region",
            " and ".join(f"{count} {name}" for name, count in counts.items()),
            "All must come from one Crop Characters, with nothing between that joins the list "
            "into a batch.",
        )


def _check_aspect(piece: Tensor, region: CropRegion) -> None:
    (height, width), (expected_h, expected_w) = piece.shape[-2:], region.size_hw
    if abs(height * expected_w / (width * expected_h) - 1) > _BENT:
        raise BadInput(
            f"crop {region.index} must have the shape of its region, {expected_w}×{expected_h}",
            f"{width}×{height}",
            "Keep the order and the shape of the crops; only their size may change.",
        )
