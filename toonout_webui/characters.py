"""Every character of a picture by itself: for the tab and for ControlNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from ..toonout_core.imaging import to_pil
from ..toonout_core.serving import characters
from ..toonout_core.serving.characters import DEFAULT_DETECTOR, detector_names
from ..toonout_core.serving.options import CutoutOptions
from . import keeping_alpha
from .pipelines import PIPELINES

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "Found", "detector_names", "find"]

DETECTORS = characters.Detectors(PIPELINES)


@dataclass(frozen=True)
class Found(characters.Found):
    """Characters of one picture, and the pictures that pages show of them."""

    def overlay_picture(self) -> Image:
        """The picture with numbered masks and boxes."""
        return to_pil(self.overlay())

    def cutout(self, indices: list[int], margin_px: int | None = None) -> Image:
        """RGBA of these characters."""
        return keeping_alpha.mark(self.matte(indices, margin_px).cutout())

    def mask(self, indices: list[int]) -> Image:
        """Their mask, RGB."""
        return keeping_alpha.mark_mask(to_pil(self.alpha(indices)))


def find(source: Any, detector: str, options: CutoutOptions, **bounds: Any) -> Found:
    """A picture → its characters; `bounds` as of `Detectors.find`. Raises ToonOutError."""
    return Found(**vars(DETECTORS.find(source, detector, options, **bounds)))
