"""From the options of a cutout to the parts of the core that do it."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import cutout
from .folder_run import file_state, settings_of
from .options import add_model_options, add_output_options, load_model
from .parsing import Parser, add

if TYPE_CHECKING:
    from ..flow import MattingFlow
    from ..imaging import Picture
    from ..ops.framing import Framing
    from ..output.cutouts import Cut, Output
    from ..results import Matte


def add_cutting_options(parser: Parser) -> None:
    """How a picture is seen, and what is made of it."""
    add_model_options(parser)
    add(parser, cutout.DETAIL, title="model")
    add(parser, *cutout.MATTE, title="matte")
    add_output_options(parser)


def make_cut(arguments: argparse.Namespace) -> Cut:
    """What cuts one picture out, with its model loaded."""
    import torch

    from ..chosen import adjust_options, foreground_options
    from ..ops.adjust import AdjustOptions, adjust
    from ..steadying import SteadyMatting

    adjustments = adjust_options(vars(arguments))
    adjust(torch.zeros(1, 1, 1, 1), adjustments)  # before any picture, if they are wrong
    changed = adjustments != AdjustOptions()
    # each picture is seen once: no time goes into telling it from the others
    matting: MattingFlow = load_model(arguments, remember=False)
    if arguments.steady:
        matting = SteadyMatting(matting)
    colours = None if arguments.mask_only else foreground_options(vars(arguments))

    def cut(picture: Picture) -> Matte:
        return matting(
            picture,
            source_alpha=arguments.source_alpha,
            adjust=adjustments if changed else None,
            foreground=colours,
            keep_image=False,
            detail=arguments.detail,
        )

    return cut


def output_of(arguments: argparse.Namespace, out: Path | None = None) -> Output:
    """What a result is made of; `out`: its name, where there is one."""
    from ..output.cutouts import Output
    from ..output.writing import format_of

    by_name = format_of(out) if out is not None else None
    if by_name and arguments.format and by_name != arguments.format:
        raise BadInput(
            f"--format must fit the name {out}", arguments.format, "Leave one of them out."
        )
    return Output(
        format=arguments.format or by_name or "png",
        suffix=out.suffix if out is not None else "",
        bits=0 if arguments.bits == "auto" else int(arguments.bits),
        quality=arguments.quality,
        mask_only=arguments.mask_only,
        background=_background(arguments.background) if arguments.background else None,
        keep_metadata=arguments.metadata,
        framing=_framing(arguments),
        joined=not arguments.frames,
    )


def _framing(arguments: argparse.Namespace) -> Framing | None:
    from ..ops.framing import Framing, parse_aspect

    if arguments.crop is None:
        if arguments.aspect:
            raise BadInput("--aspect must come with --crop", "no --crop")
        return None
    margin = re.fullmatch(r"(\d{1,5})(%?)", arguments.crop)
    if margin is None:
        raise BadInput("--crop must be pixels or percent", repr(arguments.crop), "Write 16 or 5%.")
    aspect = parse_aspect(arguments.aspect)
    if margin[2]:
        return Framing(margin=int(margin[1]) / 100, aspect=aspect)
    return Framing(int(margin[1]), aspect=aspect)


def _background(text: str) -> Any:
    from ..ops.compositing import parse_colour
    from ..segmentation.asking import seen

    return seen(text) if Path(text).is_file() else parse_colour(text)


def cutout_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that a result depends on, beside its picture."""
    names = (
        "precision",
        "fast",
        "format",
        "background",
        "mask_only",
        "foreground_method",
        "shrink_to",
    )
    names += ("source_alpha", "bits", "quality", "metadata")
    names += tuple(
        name
        for name in ("detail", "steady", "crop", "aspect", "frames")
        if getattr(arguments, name)
    )  # new ones
    return settings_of(arguments, "clean_colours", *names) | {
        "resolution": arguments.resolution or None,
        "adjust": _changed_adjustments(arguments),
        "model": file_state(arguments.model),
        "background": file_state(arguments.background),
    }


def _changed_adjustments(arguments: argparse.Namespace) -> dict[str, float]:
    """By the names of the core's record."""
    from ..chosen import adjust_options
    from ..ops.adjust import AdjustOptions

    usual = asdict(AdjustOptions())
    found = asdict(adjust_options(vars(arguments)))
    return {name: value for name, value in found.items() if value != usual[name]}
