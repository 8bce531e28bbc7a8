"""Batches for the refiner: batch `i` follows from the seed and `i` alone.

A sample is a picture and one of its characters, by chance; an epoch takes every picture once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import BadInput
from ...imaging import from_array, reverse_colours
from ...ops.regions import expand_box
from ...words import Array
from ..data import EpochBatches
from ..instance_config import RefinerConfig
from ..labelled_scenes import LabelledScene, read_scenes
from .coarse_masks import box_of, draw_coarse

Generator = np.random.Generator
Batch = tuple[Tensor, Tensor]

_MARGINS = (0.1, 0.5)  # around a character, of its longer side; --area box takes 0.25
_TURN_DEG = 30.0
_SHIFT = 0.1  # of a side
_CONTRAST = (0.7, 1.3)
_CHANGED = 0.2  # share of pictures that each change of colours meets
_LEVELS = (16, 32, 64)


@dataclass(frozen=True)
class Sample:
    """H×W×3 uint8, and H×W uint8 (0 … 255) what the network is shown and what it is to say."""

    picture: Array
    coarse: Array
    mask: Array


class CharacterBatches(EpochBatches[LabelledScene, RefinerConfig, Batch]):
    """See `joined`."""

    def sample(self, epoch: int, number: int) -> Sample:
        """One character of that scene."""
        config, scene = self.config, self.examples[number]
        rng = np.random.default_rng((config.seed, epoch, number, 1))
        sample = as_shown(rng, scene, int(rng.choice(scene.with_masks)), config)
        if rng.random() < config.crops:
            sample = _surroundings(rng, sample)
        sample = _moved(rng, reduced(sample, config.size_px), config)
        if config.colours:
            sample = Sample(_recoloured(rng, sample.picture), sample.coarse, sample.mask)
        return padded(sample, config.size_px, int(rng.integers(256)))

    def joined(self, samples: list[Sample]) -> Batch:
        """What `joined` makes of them."""
        return joined(samples)


def read_characters(root: Path, split: str) -> list[LabelledScene]:
    """The scenes of a split in which there is anybody with a mask."""
    scenes = [scene for scene in read_scenes(root, split) if scene.with_masks]
    if not scenes:
        raise BadInput(f"{root} must hold scenes of {split} with masks of characters", "none")
    return scenes


def as_shown(rng: Generator, scene: LabelledScene, index: int, config: RefinerConfig) -> Sample:
    """One character of a scene, nothing changed but its coarse mask."""
    mask = scene.mask(index)
    return Sample(scene.pixels(), 255 * draw_coarse(rng, mask, config), 255 * mask)


def reduced(sample: Sample, side: int) -> Sample:
    """The longer side at most `side`; never enlarged."""
    from ...opencv import cv2

    height, width = sample.mask.shape
    ratio = min(side / max(height, width), 1.0)
    size_wh = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    if ratio == 1:
        return sample
    planes = (sample.picture, sample.coarse, sample.mask)
    return Sample(*(cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA) for plane in planes))


def padded(sample: Sample, side: int, grey: int = 0) -> Sample:
    """To `side`×`side`, to the right and below."""
    height, width = sample.mask.shape
    rest = ((0, side - height), (0, side - width))
    return Sample(
        np.pad(sample.picture, (*rest, (0, 0)), constant_values=grey),
        np.pad(sample.coarse, rest),
        np.pad(sample.mask, rest),
    )


def joined(samples: Sequence[Sample]) -> Batch:
    """B×4×S×S, blue, green, red and the coarse mask, and B×1×S×S, in [0, 1]."""
    pictures = from_array(np.stack([sample.picture for sample in samples]))
    coarse, masks = (
        from_array(np.stack(planes)[..., None])
        for planes in ([one.coarse for one in samples], [one.mask for one in samples])
    )
    return torch.cat((reverse_colours(pictures), coarse), 1), masks


def _surroundings(rng: Generator, sample: Sample) -> Sample:
    if not sample.mask.any():
        return sample
    box = box_of(sample.mask)
    longer = max(box[2] - box[0], box[3] - box[1])
    margin = max(round(longer * float(rng.uniform(*_MARGINS))), 1)
    height, width = sample.mask.shape
    left, top, right, bottom = expand_box(box, margin, (height, width))
    planes = (sample.picture, sample.coarse, sample.mask)
    return Sample(*(plane[top:bottom, left:right] for plane in planes))


def _moved(rng: Generator, sample: Sample, config: RefinerConfig) -> Sample:
    """Mirrored, turned, cut or padded: one mapping, so that pixels are mixed once."""
    from ...opencv import cv2

    height, width = sample.mask.shape
    matrix = np.eye(3)
    if rng.random() < config.flip:
        matrix = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
    if rng.random() < config.turn:
        angle = float(rng.uniform(-_TURN_DEG, _TURN_DEG))
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
        matrix = np.vstack((turn, [0, 0, 1])) @ matrix
    if rng.random() < config.shift:
        left, right, top, bottom = rng.uniform(-_SHIFT, _SHIFT, 4)
        across, down = 1 + left + right, 1 + top + bottom
        shift = np.array([[across, 0, -left * width], [0, down, -top * height], [0, 0, 1]])
        matrix = shift @ matrix
    if np.array_equal(matrix, np.eye(3)):
        return sample
    grey = int(rng.integers(256))
    planes = (sample.picture, sample.coarse, sample.mask)
    borders = ((grey, grey, grey), (0,), (0,))
    return Sample(
        *(
            cv2.warpAffine(plane, matrix[:2], (width, height), borderValue=border)
            for plane, border in zip(planes, borders, strict=True)
        )
    )


def _recoloured(rng: Generator, picture: Array) -> Array:
    """Contrast, local contrast (CLAHE) and fewer levels, each by chance."""
    from ...opencv import cv2

    if rng.random() < _CHANGED:
        factor = float(rng.uniform(*_CONTRAST))
        mean = float(picture.mean())
        picture = ((picture - mean) * factor + mean).round().clip(0, 255).astype(np.uint8)
    if rng.random() < _CHANGED:
        lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
        equalise = cv2.createCLAHE(clipLimit=float(rng.uniform(1, 4)), tileGridSize=(8, 8))
        lab[..., 0] = equalise.apply(np.ascontiguousarray(lab[..., 0]))
        picture = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    if rng.random() < _CHANGED:
        step = 256 // int(rng.choice(_LEVELS))
        picture = picture // step * step
    return picture
