"""How well the head finds the characters of scenes that it has not learnt, and how sure it may be.

Scores become probabilities by Platt's way (1999), with the share of the picture as a third number,
fitted to what was right and wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...evaluation.instance_metrics import mask_iou
from ...host import Host
from ...loading import LoadedNetwork
from ...matting import Matting
from ...models.lite_unet import ARCHITECTURE, LiteUNet
from ...models.lite_unet.characters import Certainty, logit
from ...segmentation.asking import SegmentOptions
from ...segmentation.centred import CentreSegmenter
from ...segmentation.grouping import Groups
from ...words import Array
from ..labelled_scenes import LabelledScene
from ..rtmdet.validating import LEAST_SCORE, measure

_RIGHT = 0.5  # mask IoU
_STEPS = 30  # of Newton's method
_RIDGE = 1e-2  # keeps slopes finite where all are right


def validate(
    network: LiteUNet, scenes: Sequence[LabelledScene], host: Host, samples: int
) -> tuple[dict[str, float], Tensor | None]:
    """AP by name, in [0, 1], and a sheet; `network` is told how sure it may be first."""
    assert network.characters is not None
    loaded = LoadedNetwork(network, ARCHITECTURE, None, Path("training"), torch.float32)
    segmenter = CentreSegmenter(Matting(loaded, host), None)
    network.characters.certainty = calibrate(segmenter, scenes)
    return measure(segmenter, scenes, SegmentOptions(min_score=LEAST_SCORE), samples)


def calibrate(segmenter: CentreSegmenter, scenes: Sequence[LabelledScene]) -> Certainty:
    """Fitted to what is found in `scenes` while nothing is too weak."""
    segmenter.head.certainty = Certainty()
    found: list[tuple[float, float, bool]] = []
    lonely: list[bool] = []
    # regions without a centre appear when weak ones are left out
    looked = [(segmenter.look(scene.picture()), scene.truth().masks) for scene in scenes]
    for (alpha, centres), truth in looked:
        everything = replace(SegmentOptions(), min_score=0.0)
        groups = segmenter.group(alpha, centres, everything)
        right = _right(groups, alpha, truth)
        made = zip(groups.raw, groups.shares, right, strict=True)
        # a region without any centre near it has no raw score
        found += [one for one in made if not math.isnan(one[0])]
    certainty = segmenter.head.certainty = fit_certainty(found)
    for (alpha, centres), truth in looked:
        groups = segmenter.group(alpha, centres, SegmentOptions())
        right = _right(groups, alpha, truth)
        lonely += [hit for hit, raw in zip(right, groups.raw, strict=True) if math.isnan(raw)]
    # one success and one failure more: never 0 nor 1
    return replace(certainty, alone=(sum(lonely) + 1) / (len(lonely) + 2))


def _right(groups: Groups, alpha: Tensor, truth: Tensor) -> list[bool]:
    solid = (alpha[0, 0] > SegmentOptions().mask_threshold).numpy()
    masks = [torch.from_numpy((groups.owners == n) & solid) for n in range(len(groups.scores))]
    return [any(mask_iou(mask, own) >= _RIGHT for own in truth) for mask in masks]


def fit_certainty(found: Sequence[tuple[float, float, bool]]) -> Certainty:
    """Of raw scores in [0, 1], shares (see `Certainty`), and whether that was right."""
    if not found:
        return Certainty()
    scores = np.array([logit(score) for score, _, _ in found])
    shares = np.array([share for _, share, _ in found])
    right = np.array([hit for _, _, hit in found], np.float64)
    slope, area, offset = _logistic(scores, shares, right)
    return Certainty(max(slope, 1e-3), offset, max(area, 0.0))


def _logistic(x: Array, z: Array, y: Array) -> tuple[float, float, float]:
    """The likeliest σ(slope·x + area·z + offset), by Newton's method."""
    design = np.stack((x, z, np.ones_like(x)), 1)
    # Platt's targets: no certainty from few examples
    hits = y.sum()
    target = np.where(y > 0, (hits + 1) / (hits + 2), 1 / (len(y) - hits + 2))
    first = weights = np.array([1.0, 0.0, 0.0])
    for _ in range(_STEPS):
        seen = 1 / (1 + np.exp(-(design @ weights)))
        slope = design.T @ (seen - target) + _RIDGE * (weights - first)
        bend = (design * (seen * (1 - seen))[:, None]).T @ design + _RIDGE * np.eye(3)
        weights = weights - np.linalg.solve(bend, slope).clip(-1, 1)
    return float(weights[0]), float(weights[1]), float(weights[2])
