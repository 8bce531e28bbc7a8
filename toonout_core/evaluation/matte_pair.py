"""Hold a predicted matte and its truth, in the forms that the metrics are defined on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from ..errors import BadInput
from ..imaging import to_array, unit_levels
from ..words import Array
from .alpha_metrics import AlphaScores, score_alpha

MIDDLE = 128  # a level above it is foreground for every metric that wants a mask


@dataclass(frozen=True)
class MattePair:
    """`prediction` and `truth` H×W or 1×1×H×W, float in [0, 1], of equal shape.

    The published metrics are defined on 8-bit files: they see `levels` and `true_mask`.
    """

    prediction: Tensor
    truth: Tensor

    def __post_init__(self) -> None:
        if self.prediction.shape != self.truth.shape or self.truth[..., 0, 0].numel() != 1:
            raise BadInput(
                f"a prediction must be one plane of its truth's shape {tuple(self.truth.shape)}",
                f"shape {tuple(self.prediction.shape)}",
                "Resize it first.",
            )

    @cached_property
    def alpha(self) -> Array:
        """The prediction, H×W float64, not rounded."""
        return _plane(self.prediction).double().cpu().numpy()

    @cached_property
    def true_alpha(self) -> Array:
        """The truth, H×W float64, not rounded."""
        return _plane(self.truth).double().cpu().numpy()

    @cached_property
    def levels(self) -> Array:
        """The prediction, H×W uint8."""
        return to_array(_plane(self.prediction)[None, None])[0, :, :, 0]

    @cached_property
    def true_levels(self) -> Array:
        """The truth, H×W uint8."""
        return to_array(_plane(self.truth)[None, None])[0, :, :, 0]

    @cached_property
    def shares(self) -> Array:
        """`levels` in [0, 1], H×W float64."""
        return unit_levels(self.levels)

    @cached_property
    def true_mask(self) -> Array:
        """Where the truth is foreground, H×W bool."""
        return self.true_levels > MIDDLE

    @cached_property
    def alpha_scores(self) -> AlphaScores:
        """The U-Net paper's scores, which binarise at 0.5 or not at all."""
        return score_alpha(self.prediction, self.truth)

    @cached_property
    def counts_above(self) -> tuple[Array, Array]:
        """The (foreground, background) pixels predicted at or above thresholds 255 …
        0: 256 each.
        """
        return count_above(self.levels, self.true_mask)

    @cached_property
    def adaptive_counts(self) -> tuple[int, int]:
        """The same at one threshold: twice the mean of the prediction, at most 1."""
        chosen = self.shares >= min(2 * float(self.shares.mean()), 1.0)
        hits = int(np.count_nonzero(chosen & self.true_mask))
        return hits, int(np.count_nonzero(chosen)) - hits


def count_above(levels: Array, mask: Array) -> tuple[Array, Array]:
    """Count the pixels of uint8 `levels` at or above 255, 254 … 0, inside and outside of a
    bool mask.
    """
    inside = np.bincount(levels[mask], minlength=256)
    everywhere = np.bincount(levels.ravel(), minlength=256)
    return np.cumsum(inside[::-1]), np.cumsum((everywhere - inside)[::-1])


def _plane(matte: Tensor) -> Tensor:
    return matte.detach().reshape(matte.shape[-2:])
