"""Choose instances by number, point, box, score or size, and tidy what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..instances import Instances, Order
from ..ops.adjust import AdjustOptions
from ..ops.regions import connected_components
from ..segmentation.sharing import share_matte
from .written import boxes_of_frame, parse_numbers, parse_points

_UNCHANGED = AdjustOptions()


@dataclass(frozen=True)
class TidyOptions:
    """What `tidy` does to found instances, in this order; the defaults change nothing.

    drop_duplicates     leaves one out that lies in larger ones by four fifths
    adjust              adjusts every mask: specks, holes, edges
    min_area            share of the picture that an instance must cover
    limit               keeps so many, those of the best scores; 0: all
    order               sorts them; None: as found
    """

    drop_duplicates: bool = False
    adjust: AdjustOptions = _UNCHANGED
    min_area: float = 0.0
    limit: int = 0
    order: Order | None = None


def tidy(instances: Instances, options: TidyOptions) -> Instances:
    """Tidy what was found; see TidyOptions."""
    if options.drop_duplicates:
        instances = instances.without_duplicates()
    if options.adjust != _UNCHANGED:
        instances = instances.adjust(options.adjust)
    if options.min_area > 0:
        instances = instances.without_small(options.min_area)
    if 0 < options.limit < len(instances):
        best = instances.ranking("score")[: options.limit]
        instances = instances[sorted(best.tolist())]
    return instances if options.order is None else instances.sorted_by(options.order)


def separate(masks: Tensor) -> Instances:
    """N×H×W in [0, 1] → an instance for every connected region of what is above one half.

    Soft pixels go to the region that they belong to, as in `share_matte`.
    """
    origin = "connected regions of the mask"
    parts: list[Tensor] = []
    for mask in masks.to("cpu", torch.float32):
        regions = connected_components(mask > 0.5)
        if len(regions):
            hard = Instances.from_masks(regions.masks())
            parts.append(share_matte(mask[None, None], hard).masks)
    size_hw = (int(masks.shape[-2]), int(masks.shape[-1]))
    if not parts:
        return Instances.none(size_hw, origin)
    return Instances.from_masks(torch.cat(parts), origin=origin)


# ---------------------------------------------------------------- choosing


@dataclass(frozen=True)
class Choice:
    """All conditions must hold; the defaults choose everything.

    numbers       as in parse_numbers; the order in which they are written is kept
    points_xy     N×2 in pixels: those at the points
    boxes_xyxy    N×4 in pixels: for each, the one that overlaps it most
    inside        H×W: those that lie in it by half
    min_score, min_area, max_area     areas as shares of the picture
    order         None: as they are; `limit` 0: all
    """

    numbers: str = ""
    points_xy: Tensor | None = None
    boxes_xyxy: Tensor | None = None
    inside: Tensor | None = None
    min_score: float = 0.0
    min_area: float = 0.0
    max_area: float = 1.0
    order: Order | None = None
    reverse: bool = False
    limit: int = 0


def choose(instances: Instances, choice: Choice) -> tuple[Instances, Instances]:
    """Return the chosen ones, and the rest in the order that they were in."""
    places: set[int] | None = None
    if choice.points_xy is not None or choice.boxes_xyxy is not None:
        places = _at_points(instances, choice.points_xy) | _at_boxes(instances, choice.boxes_xyxy)
    fits = _fitting(instances, choice)
    numbers = parse_numbers(choice.numbers, len(instances))
    kept = [i for i in numbers if i in fits and (places is None or i in places)]
    if choice.order is not None:
        chosen = instances[kept]
        kept = [kept[i] for i in chosen.ranking(choice.order, reverse=choice.reverse).tolist()]
    kept = kept[: choice.limit or None]
    return instances[kept], instances[[i for i in range(len(instances)) if i not in kept]]


@dataclass(frozen=True)
class Places:
    """Where the characters that are meant lie, in several frames.

    `points`: as `parse_points` reads them, the same in all frames; empty: anywhere. `boxes`: as
    `boxes_of_frame` reads them. `inside`: F×H×W, of fewer frames the last one goes on.
    """

    points: str = ""
    boxes: Any = None
    inside: Tensor | None = None

    def limit(self, choice: Choice, frame: int, size_hw: tuple[int, int]) -> Choice:
        """Return the choice among those that lie there in a frame."""
        inside = self.inside
        return replace(
            choice,
            points_xy=parse_points(self.points, size_hw) if self.points.strip() else None,
            boxes_xyxy=None if self.boxes is None else boxes_of_frame(self.boxes, frame),
            inside=None if inside is None else inside[min(frame, len(inside) - 1)],
        )


def choose_of_frames(
    frames: Sequence[Instances], choice: Choice, places: Places = Places()
) -> list[tuple[Instances, Instances]]:
    """Return what `choose` gives for each frame, among those that lie at the places."""
    return [
        choose(found, places.limit(choice, number, found.size_hw))
        for number, found in enumerate(frames)
    ]


def _fitting(instances: Instances, choice: Choice) -> set[int]:
    height, width = instances.size_hw
    shares = instances.areas_px / (height * width)
    fits = (instances.scores >= choice.min_score).cpu()
    fits &= ((shares >= choice.min_area) & (shares <= choice.max_area)).cpu()
    if choice.inside is not None:
        inside = choice.inside.to(instances.masks.device)
        for index, mask in enumerate(instances.masks):
            part = torch.minimum(mask.to(torch.float32), inside.to(torch.float32))
            fits[index] &= float(part.sum()) >= 0.5 * float(mask.sum())
    return {index for index, fit in enumerate(fits.tolist()) if fit}


def _at_points(instances: Instances, points_xy: Tensor | None) -> set[int]:
    """Find the smallest of the masks at each point; where there is none, the smallest of
    the boxes.
    """
    found: set[int] = set()
    areas = instances.areas_px.tolist()
    height, width = instances.size_hw
    for x, y in [] if points_xy is None else points_xy.tolist():
        column, row = int(x), int(y)
        if not (0 <= column < width and 0 <= row < height):
            continue
        at = [i for i in range(len(instances)) if float(instances.masks[i, row, column]) > 0.5]
        if not at:
            boxes = instances.boxes_xyxy.tolist()
            at = [i for i, box in enumerate(boxes) if _holds(box, column, row)]
        if at:
            found.add(min(at, key=lambda i: areas[i]))
    return found


def _holds(box: list[int], column: int, row: int) -> bool:
    return box[0] <= column < box[2] and box[1] <= row < box[3]


def _at_boxes(instances: Instances, boxes_xyxy: Tensor | None) -> set[int]:
    if boxes_xyxy is None or not len(instances) or not len(boxes_xyxy):
        return set()
    from torchvision.ops import box_iou

    theirs = instances.boxes_xyxy.to("cpu", torch.float32)
    best = box_iou(boxes_xyxy.to("cpu", torch.float32), theirs).max(1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return {index for index, overlap in pairs if overlap > 0}
