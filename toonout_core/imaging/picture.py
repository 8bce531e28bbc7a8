"""The record of what is read: pixels, and what a file says beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Metadata:
    """What a file carries beside its pixels, to be written again.

    `icc_profile` describes RGB. `artist` and `copyright` come from EXIF.
    """

    text: Mapping[str, str] = field(default_factory=dict[str, str])
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    artist: str = ""
    copyright: str = ""


@dataclass(frozen=True)
class Picture:
    """One frame. `image` 1×3×H×W in [0, 1]; `alpha` 1×1×H×W in [0, 1], or None if opaque.

    `seconds`: how long a frame of an animation is shown, 0 if nothing says it. `plays`: how often
    the animation runs, 0 for ever. `notes`: what had to be left out or guessed.
    """

    image: Tensor
    alpha: Tensor | None = None
    metadata: Metadata = Metadata()
    bits: int = 8  # a channel, in the source
    seconds: float = 0.0
    plays: int = 0
    notes: tuple[str, ...] = ()

    @property
    def size_hw(self) -> tuple[int, int]:
        return int(self.image.shape[-2]), int(self.image.shape[-1])
