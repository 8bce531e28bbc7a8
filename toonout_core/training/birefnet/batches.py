"""Batches of pictures with known alpha: batch `i` follows from the seed and `i` alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from ...imaging import from_array, read, to_array
from ...ops.compositing import premultiply
from ...ops.resizing import resize
from ...output.naming import find_sources
from ...synthesis.composite import draw_background
from ...synthesis.cutouts import Library
from ...words import Array
from ..augmenting import augment
from ..config import BiRefNetConfig
from ..data import EpochBatches
from ..examples import Example

_BACKGROUND_PX = 1280  # longest side that is kept in memory


def read_backgrounds(root: Path) -> Library:
    """What cutouts are laid on: ROOT/bg/train or ROOT/bg; none if there is no such folder."""
    folder = root / "bg" / "train"
    folder = folder if folder.is_dir() else root / "bg"
    if not folder.is_dir():
        return Library([], [])
    scenes: list[Array] = []
    for source in find_sources([folder], recursive=True).sources:
        image = read(source.path).image
        scale = min(1.0, _BACKGROUND_PX / max(image.shape[-2:]))
        height, width = (max(round(side * scale), 1) for side in image.shape[-2:])
        scenes.append(to_array(resize(image, (height, width)))[0])
    return Library([], scenes)


def sized(
    example: Example, size_px: int, rng: Generator, backgrounds: Library, flat_share: float
) -> tuple[Tensor, Tensor]:
    """1×3×S×S and 1×1×S×S, squashed as before inference; cutouts are laid on a background."""
    image, alpha = example.read()
    size_hw = (size_px, size_px)
    small = resize(alpha, size_hw)
    if example.truth is not None:
        return resize(image, size_hw), small
    ground = draw_background(rng, backgrounds, size_px, flat_share)
    under = from_array(ground.round().clip(0, 255).astype(np.uint8))
    colours = resize(premultiply(image, alpha), size_hw)
    return (colours + (1 - small) * under).clamp(0, 1), small


class MatteBatches(EpochBatches[Example, BiRefNetConfig, tuple[Tensor, Tensor]]):
    """B×3×S×S and B×1×S×S in [0, 1]."""

    def __init__(
        self,
        backgrounds: Library,
        examples: Sequence[Example],
        config: BiRefNetConfig,
        **places: int,
    ) -> None:
        super().__init__(examples, config, **places)
        self.backgrounds = backgrounds

    def sample(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Picture and alpha of that example, changed by chance."""
        config = self.config
        rng = np.random.default_rng((config.seed, epoch, number, 1))
        image, alpha = sized(
            self.examples[number], config.size_px, rng, self.backgrounds, config.flat_share
        )
        return augment(
            image,
            alpha,
            rng,
            flip=config.flip,
            rotate=config.rotate,
            enhanced=config.enhance,
            peppered=config.pepper,
        )

    def joined(self, samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """One batch of each."""
        return torch.cat([image for image, _ in samples]), torch.cat([a for _, a in samples])
