"""Batches of scenes for the detector: batch `i` follows from the seed and `i` alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ...imaging import from_array
from ...instances import Instances
from ..data import EpochBatches
from ..instance_config import RTMDetConfig
from ..labelled_scenes import LabelledScene
from .assignment import TrueInstances
from .mosaics import Generator, Labelled, as_it_is, change_colours, four_in_one, mix, one

Batch = tuple[Tensor, list[TrueInstances]]

_TILES = 4


class SceneBatches(EpochBatches[LabelledScene, RTMDetConfig, Batch]):
    """B×3×S×S in [0, 1] and the truths; who completes mosaics is drawn from all scenes."""

    def sample(self, epoch: int, number: int) -> Labelled:
        """One scene, or several in one."""
        config = self.config
        rng = np.random.default_rng((config.seed, epoch, number, 1))
        plain = epoch >= config.epochs - config.plain_epochs
        sample = self._picture(rng, number, plain)
        if plain or rng.random() >= config.mixup:
            return sample
        return mix(sample, one(rng, self._any(rng), config.size_px, (1.0, 1.0), config.flip))

    def joined(self, samples: list[Labelled]) -> Batch:
        """Pictures and what is true of each."""
        images = from_array(np.stack([picture for picture, _ in samples]))
        return images, [to_truth(sample) for sample in samples]

    def _picture(self, rng: Generator, number: int, plain: bool) -> Labelled:
        config = self.config
        first = self.examples[number].read()
        change = partial(change_colours, rng) if config.colours else as_it_is
        if plain or rng.random() >= config.mosaic:
            return one(rng, first, config.size_px, config.scales, config.flip, change)
        pictures = [first, *(self._any(rng) for _ in range(_TILES - 1))]
        return four_in_one(rng, pictures, config.size_px, config.scales, config.flip, change)

    def _any(self, rng: Generator) -> Labelled:
        return self.examples[int(rng.integers(len(self.examples)))].read()


def to_truth(sample: Labelled) -> TrueInstances:
    """Those of whom anything is seen, boxes close around that."""
    labels = sample[1]
    masks = torch.from_numpy(labels.masks).bool()
    seen = masks.flatten(1).any(1)
    masks, known = masks[seen], torch.from_numpy(labels.known)[seen]
    boxes = Instances.from_masks(masks).boxes_xyxy.to(torch.float32)
    return TrueInstances(boxes, masks, torch.zeros(len(masks), dtype=torch.int64), known)
