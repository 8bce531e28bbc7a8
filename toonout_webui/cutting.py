"""One picture and what was chosen → what every part of the WebUI shows, saves or sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image

from ..toonout_core import Matte
from ..toonout_core.imaging import Picture, to_pil
from ..toonout_core.serving import cutting
from ..toonout_core.serving.options import CutoutOptions
from ..toonout_core.steadying import Steady
from . import keeping_alpha
from .pipelines import PIPELINES


@dataclass(frozen=True)
class Cut(cutting.Cut):
    """A result, and the pictures that pages show of it."""

    def cutout(self) -> Image:
        """RGBA, marked so that its alpha survives saving; RGB on a background."""
        if self.behind is not None:
            return to_pil(self.matte.composite(self.behind))
        return keeping_alpha.mark(self.matte.cutout())

    def mask(self) -> Image:
        """RGB, white is the character; hosts write it as grey PNG."""
        return keeping_alpha.mark_mask(to_pil(self.matte.alpha))

    def main(self) -> Image:
        """What was asked for first."""
        return self.mask() if self.options.output == "mask" else self.cutout()


def wish(values: Mapping[str, Any]) -> CutoutOptions:
    """Checked options; the settings' model where none is given. Raises BadInput."""
    return cutting.wish(values, PIPELINES.default_model())


def cut(
    source: Any, options: CutoutOptions, background: Any = None, steady: Steady | None = None
) -> Cut:
    """A picture (PIL, stream or Picture) → its cut; `steady`: what has seen the frames of a clip
    before it. Raises ToonOutError."""
    return Cut(**vars(cutting.cut(PIPELINES, source, options, background, steady)))


def cut_to_matte(picture: Picture, options: CutoutOptions) -> tuple[Matte, str, list[str]]:
    """Matte, device, and what is worth knowing; on the CPU where the device has no room for it."""
    return cutting.cut_to_matte(PIPELINES, picture, options)
