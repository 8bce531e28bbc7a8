"""How well the head finds the characters of scenes that it has not learnt, and how sure it may be.

Scores become probabilities by Platt's two numbers (1999), fitted to what was right and wrong.
"""

from __future__ import annotations

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
    scores: list[float] = []
    right: list[bool] = []
    options = replace(SegmentOptions(), min_score=0.0)
    for scene in scenes:
        alpha, centres = segmenter.look(scene.picture())
        groups = segmenter.group(alpha, centres, options)
        truth = scene.truth().masks
        solid = (alpha[0, 0] > options.mask_threshold).numpy()
        for number, raw in enumerate(groups.raw):
            mask = torch.from_numpy((groups.owners == number) & solid)
            right.append(any(mask_iou(mask, own) >= _RIGHT for own in truth))
            scores.append(raw)
    return fit_certainty(np.array(scores), np.array(right, bool))


def fit_certainty(scores: np.ndarray, right: np.ndarray) -> Certainty:
    """Raw scores in [0, 1], NaN for regions that no centre explains, and whether each was right."""
    lonely = np.isnan(scores)
    # one success and one failure more: never 0 nor 1
    alone = (float(right[lonely].sum()) + 1) / (int(lonely.sum()) + 2)
    x = np.array([logit(score) for score in scores[~lonely].tolist()])
    y = right[~lonely].astype(np.float64)
    slope, offset = 1.0, 0.0
    if len(x):
        slope, offset = _logistic(x, y)
    return Certainty(max(slope, 1e-3), offset, alone)


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the likeliest σ(slope·x + offset), by Newton's method."""
    design = np.stack((x, np.ones_like(x)), 1)
    # Platt's targets: no certainty from few examples
    hits = y.sum()
    target = np.where(y > 0, (hits + 1) / (hits + 2), 1 / (len(y) - hits + 2))
    weights = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        seen = 1 / (1 + np.exp(-(design @ weights)))
        slope = design.T @ (seen - target) + _RIDGE * (weights - (1.0, 0.0))
        bend = (design * (seen * (1 - seen))[:, None]).T @ design + _RIDGE * np.eye(2)
        weights -= np.linalg.solve(bend, slope).clip(-1, 1)
    return float(weights[0]), float(weights[1])
