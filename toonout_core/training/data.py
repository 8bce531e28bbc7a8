"""Batches for training: sample `i` follows from the seed and `i` alone, so resuming is exact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import BadInput
from .config import TrainingConfig

Batch = TypeVar("Batch")
Example = TypeVar("Example")
Config = TypeVar("Config", bound=TrainingConfig)


def steps_per_epoch(examples: int, batch: int, world: int) -> int:
    """Whole steps of all processes; at least one is needed."""
    steps = examples // (batch * world)
    if not steps:
        raise BadInput(
            f"the training split must hold at least {batch * world} pictures, a step of "
            f"{world} processes with {batch} each",
            str(examples),
        )
    return steps


class EpochBatches(Dataset[Batch], ABC, Generic[Example, Config, Batch]):
    """Item `i` is what one process, `rank` of `world`, sees in step `first + i`.

    An epoch takes every example once, in an order of its own; what does not fill a step of all
    processes is left out of that epoch. Who inherits makes a sample of an example, and a batch of
    samples.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        config: Config,
        *,
        first: int,
        last: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.examples, self.config, self.rank, self.world = examples, config, rank, world
        self.first, self.last = first, last
        self.steps_per_epoch = steps_per_epoch(len(examples), config.batch, world)

    def __len__(self) -> int:
        return max(self.last - self.first, 0)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.joined([self.sample(*place) for place in self.places(self.first + index)])

    def places(self, step: int) -> list[tuple[int, int]]:
        """(epoch, number of the example) of this process in that step."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.config.seed, epoch)).permutation(len(self.examples))
        start = (position * self.world + self.rank) * self.config.batch
        return [(epoch, int(number)) for number in order[start : start + self.config.batch]]

    @abstractmethod
    def sample(self, epoch: int, number: int) -> Any:
        """What example `number` is in that epoch."""

    @abstractmethod
    def joined(self, samples: list[Any]) -> Batch:
        """A batch."""


def normalise(
    image: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Tensor:
    """B×3×H×W in [0, 1] → what a network takes."""
    centre = image.new_tensor(mean).view(1, 3, 1, 1)
    return (image - centre) / image.new_tensor(std).view(1, 3, 1, 1)


def _single_thread(_worker: int) -> None:
    from ..opencv import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def batches(data: Dataset[Batch], workers: int) -> Iterator[Batch]:
    """All items of `data`, in order."""
    loader = DataLoader(
        data,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_single_thread if workers else None,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
