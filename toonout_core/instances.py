"""The characters of one picture, each with a mask of its own: what every detector returns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from .errors import BadInput
from .ops.adjust import AdjustOptions, adjust
from .ops.regions import boxes_from_masks, expand_box

Order = Literal["left-right", "top-bottom", "area", "score", "centre"]
Index = int | slice | Sequence[int] | Sequence[bool] | Tensor

_HALF = 0.5  # where a soft mask ends


@dataclass(frozen=True, eq=False)
class Instances:
    """The N characters of one picture.

    `masks` N×H×W, bool or float in [0, 1]; `boxes_xyxy` N×4 int64 in pixels within the picture, x1
    and y1 exclusive; `scores` N in [0, 1]; `tags` N texts, or None. `origin` tells users where the
    characters come from: "detector", "connected regions of the matte", "box", "mask", "point".
    """

    masks: Tensor
    boxes_xyxy: Tensor
    scores: Tensor
    tags: tuple[str, ...] | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or not (
            self.masks.dtype == torch.bool or self.masks.is_floating_point()
        ):
            raise BadInput(
                "masks must be N×H×W, bool or float",
                f"{self.masks.dtype} of shape {tuple(self.masks.shape)}",
            )
        count = len(self.masks)
        if self.boxes_xyxy.shape != (count, 4) or self.scores.shape != (count,):
            raise BadInput(
                f"{count} masks must have {count}×4 boxes and {count} scores",
                f"{tuple(self.boxes_xyxy.shape)} and {tuple(self.scores.shape)}",
            )
        if self.tags is not None and len(self.tags) != count:
            raise BadInput(f"{count} masks must have {count} tags", str(len(self.tags)))

    @classmethod
    def from_masks(
        cls,
        masks: Tensor,
        scores: Tensor | None = None,
        tags: Sequence[str] | None = None,
        origin: str = "mask",
    ) -> Instances:
        """Make a record of masks N×H×W. Boxes are drawn close around the masks; scores are 1 if not
        given.

        A soft mask counts where it is above one half. An empty mask has the box 0, 0, 0, 0.
        """
        if masks.ndim != 3:
            raise BadInput("masks must be N×H×W", f"shape {tuple(masks.shape)}")
        boxes = [boxes_from_masks(_solid(masks[i : i + 1])) for i in range(len(masks))]
        none = masks.new_zeros((0, 4), dtype=torch.int64)
        return cls(
            masks,
            torch.cat([none, *boxes]),
            scores if scores is not None else torch.ones(len(masks), device=masks.device),
            tuple(tags) if tags is not None else None,
            origin,
        )

    @classmethod
    def none(cls, size_hw: tuple[int, int], origin: str = "mask") -> Instances:
        """Make a record of no character in a picture of that size."""
        return cls.from_masks(torch.zeros((0, *size_hw), dtype=torch.bool), origin=origin)

    def __repr__(self) -> str:
        """Name sizes, scores and origin: all values would fill a screen."""
        height, width = self.size_hw
        scores = ", ".join(f"{score:.2f}" for score in self.scores.tolist())
        return f"Instances({len(self)} of {width}×{height}, scores [{scores}], from {self.origin})"

    def __len__(self) -> int:
        return len(self.masks)

    def __iter__(self) -> Iterator[Instances]:
        """Yield the characters one at a time, each as a record of one."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: Index) -> Instances:
        """Return some of the characters: one, a slice, a list of indices, or those where a list is
        true.
        """
        chosen = _chosen(index, len(self))
        if chosen == [*range(len(self))]:
            return self  # masks of large pictures are not copied for nothing
        rows = torch.tensor(chosen, dtype=torch.int64)
        return Instances(
            self.masks[rows.to(self.masks.device)],
            self.boxes_xyxy[rows.to(self.boxes_xyxy.device)],
            self.scores[rows.to(self.scores.device)],
            tuple(self.tags[i] for i in chosen) if self.tags is not None else None,
            self.origin,
        )

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return int(self.masks.shape[-2]), int(self.masks.shape[-1])

    @property
    def areas_px(self) -> Tensor:
        """The N areas of the masks in pixels; a soft pixel counts by its value."""
        sums = [mask.sum(dtype=torch.float64) for mask in self.masks]
        return torch.stack(sums) if sums else self.masks.new_zeros(0, dtype=torch.float64)

    def with_tags(self, tags: Sequence[str]) -> Instances:
        """Return the same characters with a text for each."""
        return replace(self, tags=tuple(tags))

    def with_masks(self, masks: Tensor) -> Instances:
        """Return the same characters with other masks, and new boxes close around them."""
        return Instances.from_masks(masks, self.scores, self.tags, self.origin)

    def sorted_by(self, order: Order, *, reverse: bool = False) -> Instances:
        """Return the characters in another order. Equal ones keep their order, also with `reverse`.

        "left-right" and "top-bottom" go by the middle of the box. "area": largest first. "score":
        best first. "centre": nearest to the picture's centre first.
        """
        return self[self.ranking(order, reverse=reverse)]

    def ranking(self, order: Order, *, reverse: bool = False) -> Tensor:
        """Return the N indices that put the characters into the order of `sorted_by`."""
        if order not in get_args(Order):
            raise BadInput(f"order must be one of {', '.join(get_args(Order))}", repr(order))
        return self._ranks(order).sort(descending=reverse, stable=True).indices

    def _ranks(self, order: Order) -> Tensor:
        if order == "area":
            return -self.areas_px
        if order == "score":
            return -self.scores
        boxes = self.boxes_xyxy.to(torch.float64)
        middles_xy = (boxes[:, :2] + boxes[:, 2:]) / 2
        if order == "left-right":
            return middles_xy[:, 0]
        if order == "top-bottom":
            return middles_xy[:, 1]
        height, width = self.size_hw
        return (middles_xy - middles_xy.new_tensor([width / 2, height / 2])).norm(dim=1)

    def union(self) -> Tensor:
        """Return 1×1×H×W, what belongs to any of the characters, of the masks' type.

        Soft masks are added up, at most to 1: no seam is left where two of them share a pixel.
        """
        joined = self.masks.new_zeros(self.size_hw)
        for mask in self.masks:
            joined += mask  # of booleans: or
        soft = joined.dtype != torch.bool
        return (joined.clamp_(max=1) if soft else joined)[None, None]

    def background(self) -> Tensor:
        """Return 1×1×H×W, what belongs to none of the characters."""
        union = self.union()
        return ~union if union.dtype == torch.bool else 1 - union

    def without_duplicates(self, max_overlap: float = 0.8) -> Instances:
        """Leave out every character that lies in larger ones by more than `max_overlap` of its own
        mask.

        The others keep their order. An empty mask is left out too.
        """
        covered = torch.zeros(self.size_hw, dtype=torch.bool, device=self.masks.device)
        kept: list[int] = []
        areas = [int(_solid(mask).sum()) for mask in self.masks]
        for index in sorted(range(len(self)), key=lambda i: -areas[i]):
            mask = _solid(self.masks[index])
            if areas[index] and int((mask & covered).sum()) / areas[index] <= max_overlap:
                covered |= mask
                kept.append(index)
        return self[sorted(kept)]

    def without_small(self, min_area: float) -> Instances:
        """Leave out every character that covers less than `min_area` of the picture, a share from 0
        to 1.
        """
        if not 0 <= min_area <= 1:
            raise BadInput("min_area must be a share from 0 to 1", str(min_area))
        height, width = self.size_hw
        return self[self.areas_px >= min_area * height * width]

    def overlaps(self) -> Tensor:
        """Return N×N float32, the IoU of every two masks where they are above one half; 0 for empty
        ones.
        """
        table = torch.zeros((len(self), len(self)))
        areas = [int(_solid(mask).sum()) for mask in self.masks]
        boxes = self.boxes_xyxy.tolist()
        for first in range(len(self)):
            for second in range(first + 1):
                left, top = (max(boxes[first][k], boxes[second][k]) for k in (0, 1))
                right, bottom = (min(boxes[first][k], boxes[second][k]) for k in (2, 3))
                shared = 0
                if left < right and top < bottom:
                    window = (slice(top, bottom), slice(left, right))
                    both = _solid(self.masks[first][window]) & _solid(self.masks[second][window])
                    shared = int(both.sum())
                union = areas[first] + areas[second] - shared
                table[first, second] = table[second, first] = shared / union if union else 0.0
        return table

    def exclusive(self) -> Instances:
        """Give every pixel to one character only: the first is in front of the second, and so on.

        Sort the characters before. Soft masks are seen through what is in front of them: their sum
        is at most 1.
        """
        free = self.masks.new_ones(self.size_hw)
        masks = torch.zeros_like(self.masks)
        for mask, seen in zip(self.masks, masks, strict=True):
            torch.mul(mask, free, out=seen)
            free = free & ~mask if mask.dtype == torch.bool else free * (1 - mask)
        return self.with_masks(masks)

    def adjust(self, options: AdjustOptions) -> Instances:
        """Adjust every mask by itself: specks, holes, edges (see `ops.adjust`).

        A bool mask stays bool unless it is feathered, or grown by a fraction of a pixel.
        """
        soft = options.feather_px > 0 or options.grow_px != int(options.grow_px)
        dtype = torch.float32 if soft else self.masks.dtype
        masks = torch.zeros(self.masks.shape, dtype=dtype, device=self.masks.device)
        margin = 1 + math.ceil(max(options.grow_px, 0) + options.feather_px)
        for index, mask in enumerate(self.masks):
            box = boxes_from_masks(mask[None] > 0)[0].tolist()
            if box[2]:
                left, top, right, bottom = expand_box(box, margin, self.size_hw)
                window = (index, slice(top, bottom), slice(left, right))
                changed = adjust(self.masks[window][None, None].to(torch.float32), options)[0, 0]
                masks[window] = changed > _HALF if dtype == torch.bool else changed
        return self.with_masks(masks)

    def resize(self, size_hw: tuple[int, int], *, threshold: float = 0.3) -> Instances:
        """Fit the characters to the picture in another size, by averages of the masks.

        A bool mask stays bool, and is where the average is above `threshold`.
        """
        if min(size_hw) < 1:
            raise BadInput("a size must be at least 1×1", f"{size_hw[0]}×{size_hw[1]}")
        masks = torch.zeros((len(self), *size_hw), dtype=self.masks.dtype, device=self.masks.device)
        for index, mask in enumerate(self.masks):
            soft = functional.interpolate(mask[None, None].to(torch.float32), size_hw, mode="area")
            masks[index] = soft[0, 0] > threshold if mask.dtype == torch.bool else soft[0, 0]
        return self.with_masks(masks)


def _solid(masks: Tensor) -> Tensor:
    return masks if masks.dtype == torch.bool else masks > _HALF


def _chosen(index: Index, count: int) -> list[int]:
    if isinstance(index, slice):
        return list(range(count))[index]
    listed: Any = index.tolist() if isinstance(index, Tensor) else index
    numbers: list[Any] = list(listed) if isinstance(listed, Sequence) else [listed]
    if numbers and all(isinstance(number, bool) for number in numbers):
        if len(numbers) != count:
            raise BadInput(f"a choice among {count} must have {count} values", str(len(numbers)))
        return [position for position, wanted in enumerate(numbers) if wanted]
    wrong = [number for number in numbers if not -count <= number < count]
    if wrong:
        raise IndexError(f"there are {count} characters, but number {wrong[0]} was asked for")
    return [number % count for number in numbers]


def require_picture_of(instances: Instances, image: Tensor) -> None:
    """Raise BadInput unless masks have the size of B×C×H×W."""
    if instances.size_hw != tuple(image.shape[-2:]):
        raise BadInput(
            f"the characters must be of the picture of {image.shape[-1]}×{image.shape[-2]}",
            f"masks of {instances.size_hw[1]}×{instances.size_hw[0]}",
            "Connect the picture in which they were found.",
        )
