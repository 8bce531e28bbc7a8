"""Batches of composites, made on the spot: batch `i` follows from the seed and `i` alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import BadInput
from ...imaging import from_array
from ...synthesis.composite import training_sample
from ...synthesis.cutouts import Library
from ...synthesis.hard_samples import hard_sample
from ..config import CompositeTraining


class CompositeBatches(Dataset[tuple[Tensor, Tensor]]):
    """Item `i` is batch `i`: images B×3×S×S and alphas B×1×S×S in [0, 1]."""

    def __init__(
        self,
        library: Library,
        config: CompositeTraining,
        *,
        first: int,
        last: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.art, self.config, self.first, self.last = library, config, first, last
        self.seed = config.seed * world + rank
        self.weights = library.weights(read_shares(config.style_shares))

    def __len__(self) -> int:
        return max(self.last - self.first, 0)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, self.first + index))
        sizes_px = self.config.sizes_px
        size_px = int(rng.choice(sizes_px))
        more = (max(sizes_px) / size_px) ** 2 if self.config.even_pixels else 1
        pairs = [self._sample(rng, size_px) for _ in range(round(self.config.batch * more))]
        images = from_array(np.stack([rgb for rgb, _ in pairs]))
        alphas = from_array(np.stack([alpha for _, alpha in pairs]))
        return images, alphas

    def _sample(self, rng: np.random.Generator, size_px: int) -> tuple[Any, Any]:
        hard_share = self.config.hard_share
        if hard_share and rng.random() < hard_share:
            return hard_sample(rng, self.art, size_px, self.weights)
        return training_sample(rng, self.art, size_px, self.config.flat_share, self.weights)


def read_shares(texts: tuple[str, ...]) -> dict[str, float]:
    """`STYLE=FACTOR` → factor by style. Raises BadInput."""
    result: dict[str, float] = {}
    for text in texts:
        style, _, factor = text.partition("=")
        try:
            result[style] = float(factor)
        except ValueError:
            result[style] = -1.0
        if result[style] < 0:
            raise BadInput("--style-shares must be STYLE=FACTOR, factors from 0 up", repr(text))
    return result
