"""Find characters without a detector: as the connected regions of a matte."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances
from ..matting import Matting
from ..ops.regions import connected_components
from .asking import SegmentOptions, box_as_mask
from .instance_segmenter import InstanceSegmenter
from .refining import Refiner, keep_foreground
from .sharing import share_matte

ORIGIN = "connected regions of the matte"


class RegionSegmenter(InstanceSegmenter):
    """Takes the connected regions of a matte for characters.

    Characters that touch are one region, and a part that is apart from its character is one more.
    The largest region comes first. A region's score is its mean alpha. With `soft` options every
    region gets its part of the matte. Where no region fits a box or a point, what the matte holds
    in the box (perhaps nothing) is cut out.
    """

    def __init__(self, matting: Matting, refiner: Refiner | Matting | None = None) -> None:
        super().__init__(matting.host, refiner)
        self.matting = matting

    @property
    def name(self) -> str:
        return self.matting.name

    def _find(self, frame: Tensor, options: SegmentOptions) -> Instances:
        return self._matte_and_characters(frame, options)[1]

    def _at_boxes(
        self, image: Tensor, boxes_xyxy: Tensor, options: SegmentOptions, min_iou: float
    ) -> Instances:
        from torchvision.ops import box_iou

        alpha, regions = self._matte_and_characters(image, options)
        best: list[int] = []
        for box in boxes_xyxy:
            overlaps = box_iou(box[None], regions.boxes_xyxy.float())[0]
            index = int(overlaps.argmax()) if len(regions) else -1
            best.append(index if index >= 0 and float(overlaps[index]) >= min_iou else -1)
        return _chosen(regions, best, alpha, boxes_xyxy)

    def _at_points(
        self, image: Tensor, points_xy: Tensor, boxes_xyxy: Tensor, options: SegmentOptions
    ) -> Instances:
        alpha, regions = self._matte_and_characters(image, options)
        best: list[int] = []
        for x, y in points_xy.tolist():
            under = regions.masks[:, int(y), int(x)]
            index = int(under.to(torch.float32).argmax()) if len(regions) else -1
            best.append(index if index >= 0 and float(under[index]) > 0 else -1)
        return _chosen(regions, best, alpha, boxes_xyxy)

    def _at_masks(self, image: Tensor, given: Instances) -> Instances:
        return given.with_masks(keep_foreground(given.masks, self._alpha(image)))

    def _alpha(self, frame: Tensor) -> Tensor:
        return self.matting.predict(frame).cpu()

    def _matte_and_characters(
        self, frame: Tensor, options: SegmentOptions
    ) -> tuple[Tensor, Instances]:
        """Return the matte of 1×3×H×W, on the CPU, and the characters in it."""
        alpha = self._alpha(frame)
        return alpha, self._regions(frame, alpha, options)

    def _regions(self, frame: Tensor, alpha: Tensor, options: SegmentOptions) -> Instances:
        if not 0 <= options.min_area <= 1:
            raise BadInput("min_area must be a share from 0 to 1", str(options.min_area))
        found = connected_components(alpha[0, 0] > options.mask_threshold)
        labels, areas = found.labels, found.areas_px
        opacity = alpha[0, 0].flatten().to(torch.float64)
        sums = torch.bincount(labels.flatten(), opacity, minlength=len(found) + 1)[1:]
        scores = (sums / areas).to(torch.float32)
        good = (areas >= options.min_area * labels.numel()) & (scores >= options.min_score)
        # largest first, and masks of only as many as are wanted
        order = areas.sort(descending=True, stable=True).indices
        kept = order[good[order]][: options.limit]
        masks = torch.zeros((len(kept), *labels.shape), dtype=torch.bool)
        for mask, index in zip(masks, kept.tolist(), strict=True):
            torch.eq(labels, index + 1, out=mask)
        regions = Instances.from_masks(masks, scores[kept], origin=ORIGIN)
        if not options.soft:
            return regions
        specks = (labels > 0) & ~regions.masks.any(0)
        everything = Instances.from_masks(torch.cat((regions.masks, specks[None])))
        return regions.with_masks(share_matte(alpha, everything, frame).masks[:-1])


def _chosen(regions: Instances, best: list[int], alpha: Tensor, boxes_xyxy: Tensor) -> Instances:
    """Make one character for each prompt: the region at index `best`, or for −1 the matte
    in its box.
    """
    masks = regions.masks.new_zeros((len(best), *regions.size_hw))
    scores = torch.zeros(len(best))
    for place, index in enumerate(best):
        if index >= 0:
            masks[place], scores[place] = regions.masks[index], regions.scores[index]
            continue
        inside = alpha[0, 0] * box_as_mask(boxes_xyxy[place], regions.size_hw)
        masks[place] = inside > 0.5 if masks.dtype == torch.bool else inside
    return Instances.from_masks(masks, scores)
