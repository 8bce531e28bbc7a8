"""Batches of scenes for the detector: batch `i` follows from the seed and `i` alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...imaging import from_array
from ...instances import Instances
from ..data import places_of_step, steps_per_epoch
from ..instance_config import RTMDetConfig
from ..labelled_scenes import LabelledScene
from .assignment import TrueInstances
from .mosaics import Generator, Labelled, as_it_is, change_colours, four_in_one, mix, one

Batch = tuple[Tensor, list[TrueInstances]]

_TILES = 4


class SceneBatches(Dataset[Batch]):
    """Item `i` is what this process sees in step `first + i`: B×3×S×S in [0, 1] and the truths.

    See `places_of_step` for which scenes those are; who completes mosaics is drawn from all.
    """

    def __init__(
        self,
        scenes: Sequence[LabelledScene],
        config: RTMDetConfig,
        *,
        first: int,
        last: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.scenes, self.config = scenes, config
        self.first, self.last, self.rank, self.world = first, last, rank, world
        self.steps_per_epoch = steps_per_epoch(len(scenes), config.batch, world)

    def __len__(self) -> int:
        return max(self.last - self.first, 0)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        places = places_of_step(
            self.first + index,
            len(self.scenes),
            batch=self.config.batch,
            seed=self.config.seed,
            rank=self.rank,
            world=self.world,
        )
        samples = [self._sample(*place) for place in places]
        images = from_array(np.stack([picture for picture, _ in samples]))
        return images, [to_truth(sample) for sample in samples]

    def _sample(self, epoch: int, number: int) -> Labelled:
        config = self.config
        rng = np.random.default_rng((config.seed, epoch, number, 1))
        plain = epoch >= config.epochs - config.plain_epochs
        sample = self._picture(rng, number, plain)
        if plain or rng.random() >= config.mixup:
            return sample
        return mix(sample, one(rng, self._any(rng), config.size_px, (1.0, 1.0), config.flip))

    def _picture(self, rng: Generator, number: int, plain: bool) -> Labelled:
        config = self.config
        first = self.scenes[number].read()
        change = partial(change_colours, rng) if config.colours else as_it_is
        if plain or rng.random() >= config.mosaic:
            return one(rng, first, config.size_px, config.scales, config.flip, change)
        pictures = [first, *(self._any(rng) for _ in range(_TILES - 1))]
        return four_in_one(rng, pictures, config.size_px, config.scales, config.flip, change)

    def _any(self, rng: Generator) -> Labelled:
        return self.scenes[int(rng.integers(len(self.scenes)))].read()


def to_truth(sample: Labelled) -> TrueInstances:
    """Those of whom anything is seen, boxes close around that."""
    labels = sample[1]
    masks = torch.from_numpy(labels.masks).bool()
    seen = masks.flatten(1).any(1)
    masks, known = masks[seen], torch.from_numpy(labels.known)[seen]
    boxes = Instances.from_masks(masks).boxes_xyxy.to(torch.float32)
    return TrueInstances(boxes, masks, torch.zeros(len(masks), dtype=torch.int64), known)
