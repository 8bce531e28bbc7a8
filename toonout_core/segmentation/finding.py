"""Any detector → what it finds in a picture: one way to ask networks of different families."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..errors import BadInput
from ..models.rtmdet_ins import RTMDetIns
from ..models.yolov8_seg import Selection, YoloV8Seg, masks, select
from ..ops.letterbox import map_to_picture, map_to_picture_as_published
from ..ops.resizing import Fitted

log = logging.getLogger("toonout")


class Found(Protocol):
    """Instances on the canvas of one picture, best first; masks are made when asked for.

    `scores` N, `boxes_xyxy` N×4 in pixels of the canvas.
    """

    @property
    def scores(self) -> Tensor: ...

    @property
    def boxes_xyxy(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor | slice) -> Found: ...

    def mask(self, index: int) -> Tensor:
        """H×W of the canvas, float32, of a scale that may be resized: see `to_alpha`."""
        ...

    def to_alpha(self, mask: Tensor) -> Tensor:
        """Of `mask`'s scale → [0, 1]; may change its argument."""
        ...


@dataclass(frozen=True)
class _YoloFound:
    selection: Selection
    prototypes: Tensor
    size_hw: tuple[int, int]

    @property
    def scores(self) -> Tensor:
        return self.selection.scores

    @property
    def boxes_xyxy(self) -> Tensor:
        return self.selection.boxes_xyxy

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, index: Tensor | slice) -> _YoloFound:
        chosen = self.selection
        part = Selection(
            chosen.boxes_xyxy[index],
            chosen.scores[index],
            chosen.classes[index],
            chosen.coefficients[index],
        )
        return _YoloFound(part, self.prototypes, self.size_hw)

    def mask(self, index: int) -> Tensor:
        return masks(self[index : index + 1].selection, self.prototypes, self.size_hw)[0, 0]

    def to_alpha(self, mask: Tensor) -> Tensor:
        return mask


def is_centred(network: nn.Module) -> bool:
    """Whether the family was trained with the picture in the middle of the canvas."""
    return isinstance(network, YoloV8Seg)


def tested_side_px(network: nn.Module) -> int | None:
    """Side of the canvas that the network's file was tested with, if it says so."""
    return network.side_px if isinstance(network, RTMDetIns) else None


@torch.inference_mode()
def find(
    network: nn.Module,
    canvas: Tensor,
    *,
    min_score: float,
    max_iou: float | None,
    limit: int | None,
) -> Found:
    """1×3×S×S, normalised → what is in it. `max_iou` None: everything above `min_score`."""
    if isinstance(network, RTMDetIns):
        return network.detect(canvas, min_score=min_score, max_iou=max_iou, limit=limit)[0]
    if isinstance(network, YoloV8Seg):
        candidates = network(canvas)
        every = int(candidates.boxes_xyxy.shape[1])
        found = select(
            candidates,
            score_threshold=min_score,
            iou_threshold=1.0 if max_iou is None else max_iou,
            limit=every if limit is None else limit,
        )
        size_hw = (int(canvas.shape[-2]), int(canvas.shape[-1]))
        return _YoloFound(found, candidates.prototypes[0], size_hw)
    raise BadInput("a detector must be RTMDet-Ins or YOLOv8-seg", type(network).__name__)


@torch.inference_mode()
def mask_on_picture(
    found: Found, index: int, fitted: Fitted, *, as_published: bool = False, square: bool = False
) -> Tensor | None:
    """Soft mask H×W in [0, 1] of the picture, on the CPU; None if the network overflowed.

    `as_published`: shifted and cut as in `map_to_picture_as_published`.
    """
    mask = found.mask(index)
    if not bool(mask.isfinite().all()):
        log.warning("an instance was left out: its mask is not finite; try precision fp32")
        return None
    if as_published:
        placed = map_to_picture_as_published(mask, fitted, square=square)
    else:
        placed = map_to_picture(mask, fitted)
    return found.to_alpha(placed).cpu()
