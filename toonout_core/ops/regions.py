"""Find connected regions of masks and their boxes, and cut pictures along boxes.

Boxes are x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..words import Array

Connectivity = Literal[4, 8]


@dataclass(frozen=True)
class Components:
    """The regions of one mask, numbered 1 … N; 0 is none.

    `labels` H×W int32, `areas_px` N int64, `boxes_xyxy` N×4 int64. Row i belongs to label i + 1.
    """

    labels: Tensor
    areas_px: Tensor
    boxes_xyxy: Tensor

    def __len__(self) -> int:
        return int(self.areas_px.shape[0])

    def masks(self) -> Tensor:
        """Return a mask for each region, N×H×W bool."""
        numbers = torch.arange(1, len(self) + 1, device=self.labels.device)
        return self.labels[None] == numbers[:, None, None]


def connected_components(mask: Tensor, connectivity: Connectivity = 8) -> Components:
    """Find the regions of an H×W bool mask (or 1×1×H×W).

    Neighbours touch along edges (`connectivity` 4), or at corners too (8).
    """
    plane = mask.detach().reshape(mask.shape[-2:]).cpu().numpy()
    labels, boxes, areas = label_regions(plane, connectivity)
    return Components(
        torch.from_numpy(labels).to(mask.device),
        torch.from_numpy(areas).to(mask.device),
        torch.from_numpy(boxes).to(mask.device),
    )


def label_regions(mask: Array, connectivity: Connectivity) -> tuple[Array, Array, Array]:
    """H×W bool → labels H×W int32, boxes N×4 and areas N int64."""
    from ..opencv import cv2

    _, labels, rows, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
    )
    stats = np.asarray(rows[1:], np.int64)
    boxes = stats[:, :4].copy()
    boxes[:, 2:] += boxes[:, :2]
    return labels, boxes, stats[:, 4].copy()


def touches_border(boxes: Array, size_hw: tuple[int, ...]) -> Array:
    """Tell which boxes N×4 reach an edge of the picture."""
    height, width = size_hw
    return (boxes[:, :2] <= 0).any(1) | (boxes[:, 2] >= width) | (boxes[:, 3] >= height)


def boxes_from_masks(masks: Tensor) -> Tensor:
    """Draw boxes close around N×H×W bool → N×4 int64; an empty mask has the box 0, 0, 0, 0."""
    columns, rows = masks.any(-2).to(torch.uint8), masks.any(-1).to(torch.uint8)
    found = columns.any(-1)
    first = (columns.argmax(-1), rows.argmax(-1))
    last = (
        columns.shape[-1] - columns.flip(-1).argmax(-1),
        rows.shape[-1] - rows.flip(-1).argmax(-1),
    )
    return torch.stack((*first, *last), -1) * found[:, None]


def expand_box(box_xyxy: Sequence[int], margin_px: int, size_hw: tuple[int, int]) -> list[int]:
    """Widen the box by a margin on all sides, as far as the picture goes."""
    x0, y0, x1, y1 = (int(value) for value in box_xyxy)
    height, width = size_hw
    return [
        max(x0 - margin_px, 0),
        max(y0 - margin_px, 0),
        min(x1 + margin_px, width),
        min(y1 + margin_px, height),
    ]


def crop(image: Tensor, box_xyxy: Sequence[int]) -> Tensor:
    """Copy the box's part of B×C×H×W. Raises BadInput if the box is not within it."""
    x0, y0, x1, y1 = (int(value) for value in box_xyxy)
    height, width = int(image.shape[-2]), int(image.shape[-1])
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise BadInput(
            f"a box must lie in the picture of {height}×{width} and hold a pixel",
            f"x {x0} … {x1}, y {y0} … {y1}",
        )
    return image[..., y0:y1, x0:x1].clone()
