"""What every detector can be asked, and what it answers, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

R = TypeVar("R", bound="Rows")
F = TypeVar("F", bound="Found[Any]")


@dataclass(frozen=True)
class Rows:
    """N possible instances, a row of every field for each.

    `scores` N in [0, 1], `classes` N, `boxes_xyxy` N×4 in pixels of the network's input.
    """

    scores: Tensor
    classes: Tensor
    boxes_xyxy: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self: R, index: Tensor | slice) -> R:
        return type(self)(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Found(ABC, Generic[R]):
    """The instances that a detector found in one picture, best first.

    A mask is computed when it is asked for. `prototypes`: the planes that masks are mixed from.
    `size_hw`: of the network's input.
    """

    candidates: R
    prototypes: Tensor
    size_hw: tuple[int, int]

    def __len__(self) -> int:
        return len(self.candidates)

    def __getitem__(self: F, index: Tensor | slice) -> F:
        return replace(self, candidates=self.candidates[index])

    @property
    def scores(self) -> Tensor:
        return self.candidates.scores

    @property
    def boxes_xyxy(self) -> Tensor:
        return self.candidates.boxes_xyxy

    @abstractmethod
    def mask(self, index: int) -> Tensor:
        """H×W of the input, float32: values that may be resized before `to_alpha`."""

    @abstractmethod
    def to_alpha(self, mask: Tensor) -> Tensor:
        """A mask as `mask` gives it, of any size → alpha in [0, 1]. It may change its argument."""


class Detector(Protocol):
    """A network that finds instances."""

    centred: bool  # trained with the picture in the middle of its square, else at the top left
    side_px: int | None  # of the square that it was tested with, if its file says so

    def detect(
        self, image: Tensor, *, min_score: float, max_iou: float | None, limit: int | None
    ) -> Sequence[Found[Any]]:
        """B×3×H×W, normalised → the instances of every picture.

        `max_iou`: of two boxes that are two instances; None keeps all that score above
        `min_score`, so that a prompt can choose among them.
        """
        ...
