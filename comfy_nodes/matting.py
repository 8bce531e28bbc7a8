"""Cut Out Character, and Estimate Foreground for mattes from elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import ForegroundOptions, Matte
from ..toonout_core.chosen import adjust_options, foreground_options, framing_options
from ..toonout_core.flow import MattingFlow, estimate_colours
from ..toonout_core.host import Step
from ..toonout_core.imaging import from_comfy, to_comfy, views_of_layers
from ..toonout_core.ops.adjust import AdjustOptions
from ..toonout_core.ops.checking import unit_planes
from ..toonout_core.ops.compositing import over, parse_colour
from ..toonout_core.ops.foreground import Method
from ..toonout_core.ops.framing import Framing
from ..toonout_core.ops.placing import behind
from ..toonout_core.options import cutout, models
from ..toonout_core.output.report import NO_CHARACTER, VISIBLE
from ..toonout_core.steadying import SteadyMatting
from . import given, made
from .batches import matched, needed_mask
from .host import ComfyHost
from .models import as_model
from .previews import colour_widget, compare_widgets, compared, without_pictures
from .types import CATEGORY, Node, inputs, outputs, schema, widget, widgets

log = logging.getLogger("toonout")


def window_widgets() -> list[Any]:
    """The two windows of the foreground estimate."""
    return widgets(cutout.RADIUS, cutout.REFINE_RADIUS, advanced=True)


def method_widget() -> Any:
    """How the foreground is estimated; last and optional, so that older graphs stay valid."""
    return widget(cutout.FOREGROUND_METHOD, optional=True, advanced=True)


class MatteImage(Node):
    """Picture → cutout, foreground, mask."""

    takes_empty = True

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_Matte",
            display_name="Cut Out Character (ToonOut)",
            category=CATEGORY,
            description=(
                "Removes the background of pictures and videos. Edges stay soft and lose the "
                "background's colour. Without a model it uses the built-in one; any model of a "
                "matting loader fits, ComfyUI's own too."
            ),
            search_aliases=["remove background", "rembg", "matting", "alpha", "transparent"],
            inputs=[
                *inputs(given.MODEL, given.IMAGE),
                *widgets(models.RESOLUTION, cutout.FIT, advanced=True),
                widget(cutout.CLEAN_COLOURS),
                *window_widgets(),
                *widgets(models.FRAMES_PER_STEP, cutout.SOURCE_ALPHA, advanced=True),
                method_widget(),
                widget(cutout.DETAIL, optional=True),  # last, so that older graphs stay valid
                *widgets(*cutout.CROPPING, optional=True, advanced=True),
                widget(cutout.STEADY, optional=True),
                *widgets(cutout.GROW, cutout.FEATHER, optional=True, advanced=True),
                widget(cutout.NODE_BACKGROUND, optional=True, advanced=True),
                colour_widget(cutout.NODE_COLOUR, optional=True, advanced=True),
                widget(cutout.INVERT, optional=True, advanced=True),
                *compare_widgets(),
            ],
            outputs=outputs(*made.MATTE),
        )

    @classmethod
    def execute(cls, image: Tensor, model: Any = None, **chosen: Any) -> io.NodeOutput:
        framing = framing_options(chosen)  # a wrong aspect or colour is said before the work
        colour = chosen.get("colour", "") if chosen.get("background") == "colour" else None
        if colour is not None:
            parse_colour(colour)
        remover = as_model(model, image.shape[:3].numel())
        if chosen.get("steady", False):
            remover = SteadyMatting(remover)
        stages = 1 if foreground_options(chosen) is None else 2
        with remover.host.progress(len(image) * stages, "matting") as report:
            results = _cut_out(remover, image, chosen, without_pictures(report))
        results.tell_of_nobody(inverted=chosen.get("invert", False))
        results.cut_to(framing)
        return results.node_output(colour, shown_with=image)


def _cut_out(
    remover: MattingFlow, image: Tensor, chosen: Mapping[str, Any], report: Step
) -> Results:
    """A few frames at a time, so that no second copy of a long clip is made."""
    results, at_once = Results(image.shape[:3]), chosen["frames_per_step"]
    adjustments = adjust_options(chosen)
    for start in range(0, len(image), at_once):
        picture, own_alpha = from_comfy(image[start : start + at_once])
        matte = remover.matte(
            picture,
            own_alpha if chosen["source_alpha"] == "multiply" else None,
            adjustments if adjustments != AdjustOptions() else None,
            foreground_options(chosen),
            resolution=chosen["resolution"] or None,
            fit=chosen["fit"],
            frames_per_step=at_once,
            report=report,
            detail=chosen.get("detail", False),
        )
        results.put(start, matte.colours, matte.alpha)
    return results


class EstimateForeground(Node):
    """Picture and matte → foreground colours."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_EstimateForeground",
            display_name="Estimate Foreground (ToonOut)",
            category=CATEGORY,
            description=(
                "Soft edges lose the old background's colour. Works with every matte: an adjusted "
                "one, another pack's, or one painted by hand."
            ),
            search_aliases=["decontaminate", "defringe", "despill", "halo", "blur fusion"],
            inputs=[
                *inputs(given.WITH_BACKGROUND, given.SOFT_MASK),
                *window_widgets(),
                method_widget(),
            ],
            outputs=outputs(*made.ESTIMATED),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        radius_px: int,
        refine_radius_px: int,
        foreground_method: Method = "inversion",
    ) -> io.NodeOutput:
        host = ComfyHost()
        picture = from_comfy(image)[0]
        picture, alpha = matched(image=picture, mask=needed_mask(picture, mask))
        assert picture is not None and alpha is not None
        options = ForegroundOptions(radius_px, refine_radius_px, foreground_method)
        results = Results((len(picture), *picture.shape[-2:]))
        with host.progress(len(picture), "foreground") as report:
            for i in range(len(picture)):
                part, of_part = unit_planes(picture[i : i + 1], "image", 3), alpha[i : i + 1]
                results.put(i, estimate_colours(host, part, of_part, options, report), of_part)
        return results.node_output()


class Results:
    """The three results are views of one RGBA, filled step by step: no second copy of a long clip
    exists at any time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.cutout = torch.empty((*shape, 4))

    def put(self, start: int, colours: Tensor, alpha: Tensor) -> None:
        """B×3×H×W and B×1×H×W, from frame `start` on."""
        self.cutout[start : start + len(alpha)] = to_comfy(torch.cat((colours, alpha), 1))

    def tell_of_nobody(self, *, inverted: bool) -> None:
        """One line in the log, where there are pictures without a character."""
        highest = self.cutout[..., 3].flatten(1).amax(1)
        if not inverted and (empty := int((highest < VISIBLE).sum())):
            which = f"{empty} of {len(highest)} pictures" if len(highest) > 1 else "the picture"
            log.warning("%s in %s: alpha stays below %s", NO_CHARACTER, which, VISIBLE)

    def cut_to(self, framing: Framing | None) -> None:
        """One crop for all frames, around what any of them shows."""
        if framing is None or not len(self.cutout):
            return
        colours, alpha = from_comfy(self.cutout)
        assert alpha is not None
        cropped = Matte(colours, alpha, colours).framed(framing)
        self.cutout = to_comfy(torch.cat((cropped.colours, cropped.alpha), 1))

    def node_output(
        self, colour: str | None = None, shown_with: Tensor | None = None
    ) -> io.NodeOutput:
        """cutout, foreground, mask. `colour`: what the cutout stands on, RGB then; `shown_with`:
        the picture before, which the page compares with the cutout."""
        views = views_of_layers(self.cutout)
        result = self.cutout if colour is None else self._on(colour)
        seen = None if not len(result) else compared(shown_with, result[:1])
        return io.NodeOutput(result, *views, ui=seen)

    def _on(self, colour: str) -> Tensor:
        colours, alpha = from_comfy(self.cutout)
        assert alpha is not None
        return to_comfy(over(colours, alpha, behind(colours, colour).expand_as(colours)))
