"""Cut out the characters that a user shows by boxes, points and rough masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances
from ..segmentation.asking import SegmentOptions
from ..segmentation.instance_segmenter import InstanceSegmenter
from .written import boxes_of_frame, parse_boxes, parse_points


@dataclass(frozen=True)
class Prompts:
    """What a user shows, the same for every frame except the boxes.

    Texts are as `parse_boxes` and `parse_points` read them, boxes as `boxes_of_frame` reads them,
    and masks are N×1×H×W.
    """

    box_lines: str = ""
    point_lines: str = ""
    boxes: Any = None
    masks: Tensor | None = None


def segment_prompts(
    segmenter: InstanceSegmenter,
    frame: Tensor,
    number: int,
    prompts: Prompts,
    options: SegmentOptions,
    min_overlap: float,
) -> Instances:
    """Frame `number`, 1×3×H×W → a character for each box, point and mask, in this order.

    `min_overlap`: how well a box must agree with one that the detector sees, for its mask to be
    taken; 1: never. Raises BadInput where nothing is shown.
    """
    size_hw = (int(frame.shape[-2]), int(frame.shape[-1]))
    boxes = parse_boxes(prompts.box_lines, size_hw)
    if prompts.boxes is not None:
        boxes = torch.cat((boxes_of_frame(prompts.boxes, number), boxes))
    points = parse_points(prompts.point_lines, size_hw)
    if prompts.boxes is None and prompts.masks is None and not len(boxes) and not len(points):
        raise BadInput(
            "there must be a box, a point or a mask",
            "none",
            "Connect boxes or masks, or write coordinates.",
        )
    parts: list[Instances] = []
    if len(boxes):
        least = min_overlap if min_overlap < 1 else 2.0  # more than every overlap: the box itself
        parts.append(segmenter.segment_boxes(frame, boxes, options, min_iou=least))
    if len(points):
        parts.append(segmenter.segment_points(frame, points, options))
    if prompts.masks is not None:
        parts.append(segmenter.segment_masks(frame, prompts.masks[:, 0], options))
    return _joined(parts) if parts else Instances.none(size_hw)


def _joined(parts: list[Instances]) -> Instances:
    if len(parts) == 1:
        return parts[0]
    masks = torch.cat([part.masks.cpu() for part in parts])
    scores = torch.cat([part.scores.cpu() for part in parts])
    origins = dict.fromkeys(part.origin for part in parts)
    return Instances.from_masks(masks, scores, origin=", ".join(origins))
