"""What the published programs compute, defects included: the other side of comparisons.

Instance-guided Cartoon Editing (arXiv:2312.01943), YOLOv8-seg of 2023, and the report "Anime
Character Segmentation with YOLOv8 and Segment-Anything". Nothing of this is in the package.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from toonout_core import Instances, Segmenter
from toonout_core.models.yolov8_seg import Selection
from toonout_core.models.yolov8_seg.selecting import inside
from toonout_core.ops.letterbox import boxes_to_picture
from toonout_core.ops.resizing import Fitted
from toonout_core.segmentation.asking import box_as_mask


class PublishedSegmenter(Segmenter):
    """Masks shifted and cut, boxes of the detector, no box in place of what is not found."""

    def _all(self, options, found, fitted) -> Instances:
        placed = [_placed(found, index, fitted) for index in range(len(found))]
        boxes = boxes_to_picture(found.boxes_xyxy, fitted).to(torch.int64).cpu()
        masks = torch.stack([alpha > options.mask_threshold for alpha in placed])
        return Instances(masks, boxes, found.scores.cpu(), origin="detector")

    def _at_boxes(self, image, boxes_xyxy, options, min_iou) -> Instances:
        return super()._at_boxes(image, boxes_xyxy, options, 0.0)

    def _chosen(self, found, fitted, best, boxes_xyxy, options) -> Instances:
        boxes = boxes_to_picture(found.boxes_xyxy, fitted).to(torch.int64).cpu()
        masks = [
            box_as_mask(box, fitted.source_hw)
            if index < 0
            else _placed(found, index, fitted, square=True) > options.mask_threshold
            for index, box in zip(best, boxes_xyxy, strict=True)
        ]
        return Instances(torch.stack(masks), boxes[best], found.scores[best].cpu())


@torch.inference_mode()
def _placed(found, index: int, fitted: Fitted, *, square: bool = False) -> Tensor:
    mask = map_to_picture_as_published(found.mask(index), fitted, square=square)
    return found.to_alpha(mask).cpu()


def map_to_picture_as_published(canvas: Tensor, fitted: Fitted, *, square: bool = False) -> Tensor:
    """The same with the defect of the published detector, for comparison with it.

    There width and height are swapped in the scale, and the whole canvas is enlarged: the result
    may be shifted by a part of a pixel, and a row or a column short. `square`: as its prompts do,
    to a square of the picture's longer side.
    """
    (height, width), (down, across) = fitted.source_hw, fitted.content_hw
    size = (
        math.ceil(canvas.shape[-2] * (1 / (across / width))),
        math.ceil(canvas.shape[-1] * (1 / (down / height))),
    )
    if square:
        size = (max(height, width), max(height, width))
    planes = canvas.reshape(1, -1, *canvas.shape[-2:])
    enlarged = functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)
    return enlarged.reshape(*canvas.shape[:-2], *size)[..., :height, :width]


def resized_boxes_as_published(found: Instances, size_hw: tuple[int, int]) -> Tensor:
    """N×4: boxes that are scaled by the two ratios swapped, instead of drawn anew."""
    down, across = size_hw[0] / found.size_hw[0], size_hw[1] / found.size_hw[1]
    swapped = torch.tensor([down, across], dtype=torch.float64)
    corners = (found.boxes_xyxy[:, :2] * swapped).round()
    sides = ((found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]) * swapped).round()
    return torch.cat((corners, corners + sides), 1).to(torch.int64)


def yolo_masks_as_published(
    selection: Selection, prototypes: Tensor, size_hw: tuple[int, int]
) -> Tensor:
    """N×1×H×W as `masks` of YOLOv8-seg, but cropped to whole cells, then enlarged as values."""
    logits = torch.einsum("nk,khw->nhw", selection.coefficients, prototypes.float())[:, None]
    cells_hw = (int(logits.shape[-2]), int(logits.shape[-1]))
    scale = torch.tensor([cells_hw[1] / size_hw[1], cells_hw[0] / size_hw[0]] * 2)
    cropped = logits.sigmoid() * inside(selection.boxes_xyxy * scale, cells_hw)
    return functional.interpolate(cropped, size=size_hw, mode="bilinear", align_corners=False)


def fuse_as_published(detected: Tensor, segments: Tensor, min_vote: float = 0.3) -> Tensor:
    """N×h×w of the detector's canvas and M×H×W → H×W uint8, as the report's program has it.

    Kept for comparison, with all that is wrong in it: masks are added up and truncated to whole
    numbers, the canvas is stretched with its padding, the vote may exceed 1, and the complement is
    one of bits, so that the result exceeds 1 where detections overlap.
    """
    count = detected.to(torch.float32).sum(0)[None, None]
    size_hw = (int(segments.shape[-2]), int(segments.shape[-1]))
    resized = functional.interpolate(
        _opened(count, 2), size_hw, mode="bilinear", align_corners=False
    )
    near = resized[0, 0].to(torch.uint8)
    taken, labelled = torch.zeros_like(near), torch.zeros_like(near)
    for segment in segments.to(torch.uint8):
        labelled |= segment
        if int((near * segment).sum()) > min_vote * int(segment.sum()):
            taken |= segment
    joined = taken | (~labelled & near)
    return _opened(joined[None, None].to(torch.float32), 3)[0, 0].to(torch.uint8)


def _opened(planes: Tensor, dilations: int) -> Tensor:
    """Three erosions by 3×3, then so many dilations."""
    eroded = -functional.max_pool2d(-planes, 7, 1, 3)
    return functional.max_pool2d(eroded, 2 * dilations + 1, 1, dilations)
