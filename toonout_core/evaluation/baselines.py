"""Baselines: what a user has without a network."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..imaging import from_array, to_array


def grabcut(image: Tensor, margin: float = 0.02, iterations: int = 5) -> Tensor:
    """Cut out by OpenCV's GrabCut (Rother, Kolmogorov, Blake 2004) → binary alpha 1×1×H×W.

    `image` 1×3×H×W in [0, 1]. It is told that everything outside of a frame of `margin` of the
    sides is background, and nothing else.
    """
    from ..opencv import cv2

    rgb = np.ascontiguousarray(to_array(image)[0])
    height, width = rgb.shape[:2]
    left, top = max(1, round(width * margin)), max(1, round(height * margin))
    frame = (left, top, width - 2 * left, height - 2 * top)
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(7)
    cv2.grabCut(rgb, labels, frame, *models, iterations, cv2.GC_INIT_WITH_RECT)
    return from_array((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
