"""Batches of pictures with known alpha: batch `i` follows from the seed and `i` alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from ...imaging import Array, from_array, read, to_array
from ...ops.compositing import premultiply
from ...ops.resizing import resize
from ...output.naming import find_sources
from ...synthesis.composite import draw_background
from ...synthesis.cutouts import Library
from ..augmenting import augment
from ..config import BiRefNetConfig
from ..data import places_of_step, steps_per_epoch
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


class MatteBatches(Dataset[tuple[Tensor, Tensor]]):
    """Item `i` is what this process sees in step `first + i`: B×3×S×S and B×1×S×S in [0, 1].

    See `places_of_step` for which those are.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        backgrounds: Library,
        config: BiRefNetConfig,
        *,
        first: int,
        last: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.examples, self.backgrounds, self.config = examples, backgrounds, config
        self.first, self.last, self.rank, self.world = first, last, rank, world
        self.steps_per_epoch = steps_per_epoch(len(examples), config.batch, world)

    def __len__(self) -> int:
        return max(self.last - self.first, 0)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        pairs = [self._sample(*place) for place in self._places(self.first + index)]
        return torch.cat([image for image, _ in pairs]), torch.cat([alpha for _, alpha in pairs])

    def _places(self, step: int) -> list[tuple[int, int]]:
        """(epoch, number of the example) of this process in that step."""
        return places_of_step(
            step,
            len(self.examples),
            batch=self.config.batch,
            seed=self.config.seed,
            rank=self.rank,
            world=self.world,
        )

    def _sample(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
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
