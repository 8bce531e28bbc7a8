"""Characters without a detector: the connected regions of a matte."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torchvision.ops import box_iou

from ..errors import BadInput
from ..host import Host
from ..imaging import Picture, PixelSource
from ..instances import Instances
from ..matting import Matting
from ..ops.regions import connected_components
from .asking import (
    DEFAULTS,
    SegmentOptions,
    boxes_as_masks,
    boxes_at_points,
    check_boxes,
    check_masks,
    check_points,
    prompted,
    seen,
)
from .refining import Refiner, keep_foreground, refine_instances, segment_frames
from .sharing import share_matte

ORIGIN = "connected regions of the matte"


class RegionSegmenter:
    """Asked like a `Segmenter`, but knows a matting model only.

    A character is a connected region of the matte: characters that touch are one, and a part that
    is separate from its character is one more. Scores are the mean alpha of the regions.
    """

    def __init__(self, matting: Matting, refiner: Refiner | Matting | None = None) -> None:
        self.matting = matting
        self.refiner = refiner

    @property
    def name(self) -> str:
        return self.matting.name

    @property
    def host(self) -> Host:
        return self.matting.host

    def __call__(
        self, source: PixelSource | Picture, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """A path, open file, PIL picture or Picture → its regions, largest first."""
        return self.segment(seen(source), options)[0]

    def segment(
        self,
        image: Tensor,
        options: SegmentOptions = DEFAULTS,
        *,
        label: str = "instances",
    ) -> list[Instances]:
        """B×3×H×W in [0, 1] → the regions of every frame, largest first, on the CPU.

        `soft`: the regions' parts of the matte, specks left out.
        """
        return segment_frames(
            image,
            lambda frame: self._find(frame, options)[1],
            options,
            self.refiner,
            self.host,
            label,
        )

    def segment_boxes(
        self,
        image: Tensor,
        boxes_xyxy: Tensor,
        options: SegmentOptions = DEFAULTS,
        *,
        min_iou: float = 0.5,
    ) -> Instances:
        """1×3×H×W and N×4 in pixels → one character for each box, in the order of the boxes.

        That is the region whose box overlaps the given one most; where none does by `min_iou`,
        what the matte holds within the box, and its score 0.
        """
        check_boxes(image, boxes_xyxy)
        alpha, regions = self._find(image, options)
        best: list[int] = []
        for box in boxes_xyxy.detach().cpu().float():
            overlaps = box_iou(box[None], regions.boxes_xyxy.float())[0]
            index = int(overlaps.argmax()) if len(regions) else -1
            best.append(index if index >= 0 and float(overlaps[index]) >= min_iou else -1)
        chosen = _chosen(regions, best, alpha, boxes_xyxy.detach().cpu())
        return refine_instances(image, replace(chosen, origin="box"), options, self.refiner)

    def segment_masks(
        self, image: Tensor, masks: Tensor, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """1×3×H×W and N×H×W, bool or [0, 1] → the masks cut to the matte, in their order.

        One of which the matte would leave no more than 30 % stays as it is: the matte missed it.
        """
        check_masks(image, masks)
        given = prompted(masks, options)
        cut = given.with_masks(keep_foreground(given.masks, self._alpha(image)))
        return refine_instances(image, cut, options, self.refiner)

    def segment_points(
        self, image: Tensor, points_xy: Tensor, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """1×3×H×W and N×2 in pixels → the region under each point, in the order of the points.

        Beside all regions it is what the matte holds in a small box around the point (perhaps
        nothing), and its score 0.
        """
        check_points(image, points_xy)
        alpha, regions = self._find(image, options)
        best: list[int] = []
        for x, y in points_xy.tolist():
            under = regions.masks[:, int(y), int(x)]
            index = int(under.to(torch.float32).argmax()) if len(regions) else -1
            best.append(index if index >= 0 and float(under[index]) > 0 else -1)
        boxes = boxes_at_points(points_xy, regions.size_hw)
        chosen = replace(_chosen(regions, best, alpha, boxes), origin="point")
        return refine_instances(image, chosen, options, self.refiner)

    def _alpha(self, frame: Tensor) -> Tensor:
        return self.matting.predict(frame).cpu()

    def _find(self, frame: Tensor, options: SegmentOptions) -> tuple[Tensor, Instances]:
        """1×3×H×W → its matte on the CPU, and who is found in it."""
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
    """One for each prompt: the region at index `best`, or where that is −1 the matte in its box."""
    masks = regions.masks.new_zeros((len(best), *regions.size_hw))
    scores = torch.zeros(len(best))
    for place, index in enumerate(best):
        if index >= 0:
            masks[place], scores[place] = regions.masks[index], regions.scores[index]
            continue
        box = boxes_as_masks(boxes_xyxy[place : place + 1], regions.size_hw)[0]
        inside = alpha[0, 0] * box
        masks[place] = inside > 0.5 if masks.dtype == torch.bool else inside
    return Instances.from_masks(masks, scores)
