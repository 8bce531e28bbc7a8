"""Frames that are made while they are written, as one animated picture."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image
from torch import Tensor

from ..errors import BadInput
from .layouts import to_pil


class Reel(Image.Image):
    """1×3×H×W and straight alpha 1×1×H×W (or None) of `count` frames: Pillow's encoder of WebP
    pulls them one at a time, and no list is made."""

    def __init__(self, frames: Iterable[tuple[Tensor, Tensor | None]], count: int) -> None:
        super().__init__()
        self._frames = iter(frames)
        self._place = -1
        self.n_frames = count
        self.seek(0)

    def seek(self, frame: int) -> None:
        """To the next frame; Pillow never asks for another, but for the first one at the end."""
        if frame != self._place + 1 or frame >= self.n_frames:
            return
        self._place = frame
        shown = next(self._frames, None)
        if shown is None:
            raise BadInput(f"the clip must hold {self.n_frames} frames", str(frame))
        picture = to_pil(*shown)
        self.im, self._mode, self._size = picture.im, picture.mode, picture.size

    def tell(self) -> int:
        return self._place
