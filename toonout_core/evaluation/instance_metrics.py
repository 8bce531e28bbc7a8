"""Measure how well characters are found: box, mask and boundary AP, precision and recall.

AP is COCO's (Lin et al. 2014), computed by the package faster-coco-eval. Boundary AP (Cheng et al.
2021) takes, for a pair, the smaller of mask IoU and boundary IoU.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import needs
from ..output.coco import decode_mask
from ..words import Array

Kind = Literal["box", "mask", "boundary"]

BOUNDARY_WIDTH = 0.02  # of the picture's diagonal
_THEIR_NAMES: dict[Kind, Literal["bbox", "segm", "boundary"]] = {
    "box": "bbox",
    "mask": "segm",
    "boundary": "boundary",
}
_MATCHED = 0.5  # IoU of a pair that counts for precision and recall


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's figures for one kind of IoU, in [0, 1]; −1 where there is nothing to find.

    `by_iou`: AP at 0.50, 0.55 … 0.95, whose mean is `ap`; `stats`: all twelve, in COCO's order.
    """

    by_iou: tuple[float, ...]
    stats: tuple[float, ...]

    @property
    def ap(self) -> float:
        """The mean over ten limits of IoU, also called mAP50-95."""
        return self.stats[0]

    @property
    def ap50(self) -> float:
        """The AP at IoU 0.50, also called mAP50."""
        return self.stats[1]

    @property
    def ap75(self) -> float:
        """The AP at IoU 0.75."""
        return self.stats[2]


@dataclass(frozen=True)
class Operating:
    """Precision and recall at IoU 0.5 and at the `score` from which on F1 is best."""

    precision: float
    recall: float
    score: float


# ---------------------------------------------------------------- boundaries


def boundary(mask: Tensor, width: float = BOUNDARY_WIDTH) -> Tensor:
    """Return what of H×W bool lies within `width` of the diagonal (a pixel at least) of its edge.

    Nothing lies beyond the picture. Distances are those of a 3×3 window, applied again and again.
    """
    from ..opencv import cv2

    plane = np.pad(mask.cpu().numpy().astype(np.uint8), 1)
    height, width_px = mask.shape
    depth_px = max(1, round(width * float(np.sqrt(height * height + width_px * width_px))))
    core = cv2.erode(plane, np.ones((3, 3), np.uint8), iterations=depth_px)
    return torch.from_numpy((plane - core)[1:-1, 1:-1] > 0)


def mask_iou(first: Tensor, second: Tensor) -> float:
    """Return the IoU of two H×W bool; 0 if both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0


def boundary_iou(first: Tensor, second: Tensor, width: float = BOUNDARY_WIDTH) -> float:
    """Return the IoU of the boundaries of two H×W bool (Cheng et al. 2021, arXiv:2103.16562)."""
    return mask_iou(boundary(first, width), boundary(second, width))


# ---------------------------------------------------------------- AP


def average_precision(
    truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]], kind: Kind
) -> AveragePrecision:
    """Compute AP. `truth`: a COCO data set (see `coco.dataset`); `found`: annotations with image_id
    and score.

    Raises ToonOutError without the package faster-coco-eval.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise needs("AP", "faster-coco-eval", "eval") from error
    if not found:
        nothing = 0.0 if truth["annotations"] else -1.0
        return AveragePrecision((nothing,) * 10, (nothing,) * 12)
    # with a box, its area would decide whether a mask is small, medium or large
    left_out = () if kind == "box" else ("bbox", "area")
    given = [{k: v for k, v in one.items() if k not in left_out} for one in found]
    theirs = COCO(_copied(truth))
    evaluation = COCOeval_faster(
        theirs, theirs.loadRes(given), _THEIR_NAMES[kind], boundary_dilation_ratio=BOUNDARY_WIDTH
    )
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision: Array = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    by_iou = [float(p[p > -1].mean()) if (p > -1).any() else -1.0 for p in precision]
    stats = tuple(float(value) for value in list(evaluation.stats)[:12])
    return AveragePrecision(tuple(by_iou), stats)


def _copied(truth: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what the package would write into."""
    lists = ("images", "annotations", "categories")
    return {**truth} | {name: [dict(one) for one in truth[name]] for name in lists}


# ---------------------------------------------------------------- precision and recall


def best_operating_point(
    truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]], kind: Kind
) -> Operating:
    """Find where F1 is best, all pictures together; each is matched from the best score down.

    Crowds are nothing to find.
    """
    scores, hits = hits_by_score(truth, found, kind)
    total = sum(not one.get("iscrowd") for one in truth["annotations"])
    if not len(scores) or not total:
        return Operating(0.0, 0.0, 1.0)
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(hits[order])
    last_of_equals = np.append(scores[1:] != scores[:-1], [True])
    f1 = 2 * right / (np.arange(1, len(scores) + 1) + total) * last_of_equals
    best = int(f1.argmax())
    return Operating(
        float(right[best] / (best + 1)), float(right[best] / total), float(scores[best])
    )


def hits_by_score(
    truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]], kind: Kind
) -> tuple[Array, Array]:
    """Return the scores of all that was found, and whether each is right, from the best
    score down.
    """
    single = [one for one in truth["annotations"] if not one.get("iscrowd")]
    wanted = _by_image(single)
    scores: list[float] = []
    right: list[bool] = []
    for image_id, own in _by_image(found).items():
        own = sorted(own, key=lambda one: -float(one["score"]))
        scores += [float(one["score"]) for one in own]
        right += _matched(_ious(own, wanted.get(image_id, []), kind))
    return np.array(scores), np.array(right, bool)


def calibration_error(scores: Array, right: Array, bins: int = 10) -> float:
    """Return how far scores are from the share of right ones, in the mean over bins of scores.

    Bins are weighted by their number (Naeini et al. 2015). NaN without any score.
    """
    if not len(scores):
        return math.nan
    which = np.minimum((scores * bins).astype(int), bins - 1)
    away = [
        abs(float(scores[which == b].mean() - right[which == b].mean())) * int((which == b).sum())
        for b in range(bins)
        if (which == b).any()
    ]
    return sum(away) / len(scores)


def _by_image(annotations: Sequence[Mapping[str, Any]]) -> dict[Any, list[Mapping[str, Any]]]:
    grouped: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        grouped[annotation["image_id"]].append(annotation)
    return dict(grouped)


def _matched(ious: Tensor) -> list[bool]:
    """Tell for every row whether it gets a column of its own, the best that is left."""
    free = ious.clone()
    hits: list[bool] = []
    for row in range(len(free)):
        best = int(free[row].argmax()) if free.shape[1] else -1
        hit = best >= 0 and float(free[row, best]) >= _MATCHED
        hits.append(hit)
        if hit:
            free[:, best] = -1
    return hits


def _ious(
    found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], kind: Kind
) -> Tensor:
    """Return the IoUs, N×M float64."""
    if kind == "box":
        from torchvision.ops import box_iou

        return box_iou(_boxes(found), _boxes(wanted))
    theirs = [decode_mask(one["segmentation"]) for one in wanted]
    rows: list[list[float]] = []
    for one in found:
        mask = decode_mask(one["segmentation"])
        ious = [mask_iou(mask, other) for other in theirs]
        if kind == "boundary":
            edges = [boundary_iou(mask, other) for other in theirs]
            ious = [min(pair) for pair in zip(ious, edges, strict=True)]
        rows.append(ious)
    return torch.tensor(rows, dtype=torch.float64).reshape(len(found), len(wanted))


def _boxes(annotations: Sequence[Mapping[str, Any]]) -> Tensor:
    """Return the boxes, N×4 xyxy."""
    xywh = torch.tensor([one["bbox"] for one in annotations], dtype=torch.float64).reshape(-1, 4)
    return torch.cat((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), 1)
