"""One picture and what was chosen → what every part of the WebUI shows, saves or sends."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image
from torch import Tensor

from ..toonout_core import BadInput, Matte, OutOfMemory
from ..toonout_core.chosen import adjust_options, foreground_options
from ..toonout_core.imaging import Picture, read, to_pil
from ..toonout_core.matting import MattingFlow
from ..toonout_core.ops.adjust import AdjustOptions
from ..toonout_core.ops.compositing import parse_colour
from ..toonout_core.ops.framing import Framing, parse_aspect, visible_box
from ..toonout_core.ops.placing import behind
from ..toonout_core.output.cutouts import observations
from ..toonout_core.output.writing import encode
from ..toonout_core.portions import memory_for
from ..toonout_core.steadying import Steady, SteadyMatting
from . import keeping_alpha
from .host import WebUIHost
from .memory import require_room
from .options import CutoutOptions
from .pipelines import PIPELINES, default_model

log = logging.getLogger("toonout")

SUBJECT = 0.05  # alpha that a crop keeps: less is haze, and spreads far


@dataclass(frozen=True)
class Cut:
    """A result. `behind` 1×3×H×W is the background, if there is one."""

    matte: Matte
    options: CutoutOptions
    device: str
    notes: tuple[str, ...] = ()
    behind: Tensor | None = None

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

    def sentence(self) -> str:
        """For infotexts."""
        return "; ".join((self.options.sentence(), f"device={self.device}", *self.notes))


def wish(values: Mapping[str, Any]) -> CutoutOptions:
    """Checked options; the settings' model where none is given. Raises BadInput."""
    given = dict(values)
    if not given.get("model"):
        given["model"] = default_model()
    options = CutoutOptions.of(given)
    parse_colour(options.colour)
    return options


def cut(
    source: Any, options: CutoutOptions, background: Any = None, steady: Steady | None = None
) -> Cut:
    """A picture (PIL, stream or Picture) → its cut; `steady`: what has seen the frames of a clip
    before it. Raises ToonOutError."""
    with memory_for(WebUIHost(), "this picture"):
        picture = source if isinstance(source, Picture) else read(source)
        matte, device, notes = cut_to_matte(picture, options, steady)
        notes = [*picture.notes, *notes]
        if options.crop:
            matte, missed = cropped(matte, options)
            notes += missed
        return Cut(matte, options, device, tuple(notes), _behind(matte, options, background))


def cut_to_matte(
    picture: Picture, options: CutoutOptions, steady: Steady | None = None
) -> tuple[Matte, str, list[str]]:
    """Matte, device, and what is worth knowing; on the CPU where the device has no room for it."""
    try:
        return _run(picture, options, steady, on_cpu=False)
    except OutOfMemory as error:
        log.warning("%s", error)
    matte, device, notes = _run(picture, options, steady, on_cpu=True)
    return matte, device, [*notes, "the device had too little memory"]


def _run(
    picture: Picture, options: CutoutOptions, steady: Steady | None, *, on_cpu: bool
) -> tuple[Matte, str, list[str]]:
    adjust = adjust_options(vars(options))
    with PIPELINES.keeping():
        matting = PIPELINES.get(options, on_cpu=on_cpu)
        require_room(matting, options.resolution, matting.host.device())  # pyright: ignore
        flow: MattingFlow = SteadyMatting(matting, steady) if steady else matting
        matte = flow(
            picture,
            source_alpha=options.source_alpha,
            adjust=None if adjust == AdjustOptions() else adjust,
            foreground=foreground_options(vars(options)),
            resolution=options.resolution or None,
            fit=options.fit,
            detail=options.detail,
        )
        device = str(matting.host.device())  # pyright: ignore
    return matte, device, observations(matte)


def cropped(matte: Matte, options: CutoutOptions) -> tuple[Matte, list[str]]:
    """What is not empty, with a margin and in an aspect; a note if all of it is."""
    framing = Framing(options.margin_px, aspect=parse_aspect(options.aspect))
    notes = [] if visible_box(matte.alpha) else ["nothing to crop to"]
    return matte.framed(framing), notes


def _behind(matte: Matte, options: CutoutOptions, background: Any) -> Tensor | None:
    if options.background == "transparent":
        return None
    back, alpha = None, None
    if options.background == "picture":
        if background is None:
            raise BadInput(
                "background must come with a picture", "none", "Choose one, or a colour."
            )
        picture = background if isinstance(background, Picture) else read(background)
        back, alpha = picture.image, picture.alpha
    return behind(matte.image, options.colour, back, alpha, options.background_fit)


def png(image: Tensor, alpha: Tensor | None = None) -> bytes:
    """First item of B×C×H×W as a PNG file."""
    stream = io.BytesIO()
    encode(stream, image, alpha)
    return stream.getvalue()


def cutout_png(result: Cut) -> bytes:
    """What `Cut.cutout` shows, as a file."""
    if result.behind is not None:
        return png(result.matte.composite(result.behind))
    return png(result.matte.colours, result.matte.alpha)
