"""One picture and what was chosen → a matte, and what is worth knowing about it."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..chosen import adjust_options, foreground_options
from ..errors import BadInput, OutOfMemory
from ..flow import MattingFlow
from ..imaging import Picture, read
from ..ops.adjust import AdjustOptions
from ..ops.compositing import parse_colour
from ..ops.framing import Framing, parse_aspect, visible_box
from ..ops.placing import behind
from ..output.cutouts import observations
from ..output.writing import encode
from ..portions import memory_for
from ..results import Matte
from ..steadying import Steady, SteadyMatting
from .memory import require_room
from .options import CutoutOptions
from .pipelines import Pipelines

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

    def sentence(self) -> str:
        """For infotexts."""
        return "; ".join((self.options.sentence(), f"device={self.device}", *self.notes))


def wish(values: Mapping[str, Any], default_model: str) -> CutoutOptions:
    """Checked options; `default_model` where none is given. Raises BadInput."""
    given = dict(values)
    if not given.get("model"):
        given["model"] = default_model
    options = CutoutOptions.of(given)
    parse_colour(options.colour)
    return options


def cut(
    pipelines: Pipelines,
    source: Any,
    options: CutoutOptions,
    background: Any = None,
    steady: Steady | None = None,
) -> Cut:
    """A picture (PIL, stream or Picture) → its cut; `steady`: what has seen the frames of a clip
    before it. Raises ToonOutError."""
    with memory_for(pipelines.program.host(), "this picture"):
        picture = source if isinstance(source, Picture) else read(source)
        matte, device, notes = cut_to_matte(pipelines, picture, options, steady)
        notes = [*picture.notes, *notes]
        if options.crop:
            matte, missed = cropped(matte, options)
            notes += missed
        return Cut(matte, options, device, tuple(notes), _behind(matte, options, background))


def cut_to_matte(
    pipelines: Pipelines, picture: Picture, options: CutoutOptions, steady: Steady | None = None
) -> tuple[Matte, str, list[str]]:
    """Matte, device, and what is worth knowing; on the CPU where the device has no room for it."""
    try:
        return _run(pipelines, picture, options, steady, on_cpu=False)
    except OutOfMemory as error:
        log.warning("%s", error)
    matte, device, notes = _run(pipelines, picture, options, steady, on_cpu=True)
    return matte, device, [*notes, "the device had too little memory"]


def _run(
    pipelines: Pipelines,
    picture: Picture,
    options: CutoutOptions,
    steady: Steady | None,
    *,
    on_cpu: bool,
) -> tuple[Matte, str, list[str]]:
    adjust = adjust_options(vars(options))
    device = pipelines.program.device(on_cpu=on_cpu)
    with pipelines.keeping():
        matting = pipelines.get(options, on_cpu=on_cpu)
        require_room(matting, options.resolution, device)
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
    return matte, str(device), observations(matte)


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
    """The cutout as a PNG file: with alpha, or on its background."""
    if result.behind is not None:
        return png(result.matte.composite(result.behind))
    return png(result.matte.colours, result.matte.alpha)
