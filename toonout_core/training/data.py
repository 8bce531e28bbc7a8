"""Batches for training: sample `i` follows from the seed and `i` alone, so resuming is exact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import BadInput

Batch = TypeVar("Batch")


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


def places_of_step(
    step: int, examples: int, *, batch: int, seed: int, rank: int, world: int
) -> list[tuple[int, int]]:
    """(epoch, number of the example) of one process in that step.

    An epoch takes every example once, in an order of its own; what does not fill a step of all
    processes is left out of that epoch.
    """
    epoch, position = divmod(step, steps_per_epoch(examples, batch, world))
    order = np.random.default_rng((seed, epoch)).permutation(examples)
    start = (position * world + rank) * batch
    return [(epoch, int(number)) for number in order[start : start + batch]]


class EpochBatches(Dataset[Batch], ABC):
    """Item `i` is what one process sees in step `first + i`: see `places_of_step`.

    Who inherits makes a sample of each place, and a batch of samples.
    """

    def __init__(
        self,
        examples: int,
        *,
        batch: int,
        seed: int,
        first: int,
        last: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._order = {"batch": batch, "seed": seed, "rank": rank, "world": world}
        self._examples, self.first, self.last = examples, first, last
        self.steps_per_epoch = steps_per_epoch(examples, batch, world)

    def __len__(self) -> int:
        return max(self.last - self.first, 0)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.joined([self.sample(*place) for place in self.places(self.first + index)])

    def places(self, step: int) -> list[tuple[int, int]]:
        """(epoch, number of the example) of this process in that step."""
        return places_of_step(step, self._examples, **self._order)

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
    import cv2

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
