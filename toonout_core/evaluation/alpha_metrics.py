"""The U-Net paper's metrics of a predicted alpha, per picture.

Definitions where the paper is silent: PSNR on alpha in [0, 1]; PA and IoU at threshold 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

# alpha quantised to 8 bit cannot do better than this; an exact matte would be infinite
PSNR_LIMIT_DB = 60.0


@dataclass(frozen=True)
class AlphaScores:
    """`psnr` in dB, `pa`, `iou` and `mae` in [0, 1]."""

    psnr: float
    pa: float
    iou: float
    mae: float


def score_alpha(prediction: Tensor, truth: Tensor) -> AlphaScores:
    """Both B×1×H×W or H×W in [0, 1], of equal shape."""
    prediction, truth = prediction.double(), truth.double()
    error = float(((prediction - truth) ** 2).mean())
    psnr = min(PSNR_LIMIT_DB, -10 * float(torch.log10(torch.tensor(max(error, 1e-12)))))
    mask, true_mask = prediction >= 0.5, truth >= 0.5
    union = float((mask | true_mask).sum())
    return AlphaScores(
        psnr=psnr,
        pa=float((mask == true_mask).double().mean()),
        iou=float((mask & true_mask).sum()) / union if union else 1.0,
        mae=float((prediction - truth).abs().mean()),
    )


def mean_scores(scores: Sequence[AlphaScores]) -> AlphaScores:
    """Mean over pictures, metric by metric."""
    return AlphaScores(
        **{
            f.name: sum(float(getattr(score, f.name)) for score in scores) / len(scores)
            for f in fields(AlphaScores)
        }
    )
