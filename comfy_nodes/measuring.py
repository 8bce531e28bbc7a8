"""Measure Matte, and Compare Mattes."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy, to_comfy
from ..toonout_core.ops.compositing import parse_colour
from ..toonout_core.options import measuring as options
from . import given, made
from .batches import check_size, mask_of, matched, needed_mask
from .host import ComfyHost
from .types import CATEGORY, Node, inputs, outputs, schema, widget, widgets

_MATTES = [matte.name for matte in given.MATTES]


class MeasureMatte(Node):
    """A matte and the truth → how far they are apart."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_MeasureMatte",
            display_name="Measure Matte (ToonOut)",
            category=f"{CATEGORY}/measuring",
            description=(
                "Says how good a matte is where the true one is known, and shows where it is "
                "wrong: red is missing, cyan is too much."
            ),
            search_aliases=["evaluate", "score", "metric", "IoU", "SAD", "benchmark", "error"],
            inputs=[
                *inputs(given.JUDGED, given.TRUTH, given.UNDER_ERRORS),
                widget(options.FIGURES),
            ],
            outputs=outputs(*made.MEASURED),
        )

    @classmethod
    def execute(
        cls, mask: Tensor, truth: Tensor, figures: Any, image: Tensor | None = None
    ) -> io.NodeOutput:
        # imported here, as all of the metrics are: a node that nobody runs costs no time at start
        from ..toonout_core.evaluation.batch_measuring import measure_batch

        true_alpha = mask_from_comfy(truth)
        alpha = needed_mask(true_alpha, mask)
        picture = None if image is None else from_comfy(image)[0]
        if picture is not None:
            check_size(true_alpha, picture)
        found, expected, below = matched(mask=alpha, truth=true_alpha, image=picture)
        assert found is not None and expected is not None
        with ComfyHost().progress(len(found), "measuring") as step:
            scores = measure_batch(found, expected, below, figures, step)
        values = scores.mean.values
        figures_of = values["MAE_soft"], values["BIoU_soft"], values["PA_clipped"]
        return io.NodeOutput(scores.text(), scores.json(), *figures_of, to_comfy(scores.errors))


class CompareMattes(Node):
    """A picture and up to four mattes → a sheet that shows them beside each other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_CompareMattes",
            display_name="Compare Mattes (ToonOut)",
            category=f"{CATEGORY}/measuring",
            description=(
                "Shows up to four mattes of a picture side by side: the mattes, the cutouts over "
                "colours, where they differ, and a detail at full size."
            ),
            search_aliases=["side by side", "contact sheet", "A/B", "models", "difference"],
            inputs=[
                *inputs(given.COMPARED_IMAGE, *given.MATTES),
                *widgets(options.MATTE_NAMES, options.COLOURS, options.EDGES, options.CELL),
            ],
            outputs=outputs(made.COMPARED),
        )

    @classmethod
    def execute(
        cls, image: Tensor, names: str, colours: str, edges: Any, cell_px: int, **mattes: Any
    ) -> io.NodeOutput:
        from ..toonout_core.evaluation.contact_sheet import batch_sheets

        picture = from_comfy(image)[0]
        alphas = {name: mask_of(picture, mattes.get(name)) for name in _MATTES}
        backgrounds = _colours(colours)
        pictures, *planes = matched(image=picture, **alphas)
        named = zip(_names(names), planes, strict=True)
        called = [(name, alpha) for name, alpha in named if alpha is not None]
        assert pictures is not None
        with ComfyHost().progress(len(pictures), "comparing") as step:
            sheets = batch_sheets(pictures, called, backgrounds, edges, cell_px, step)
        return io.NodeOutput(to_comfy(sheets))


def _colours(text: str) -> list[str]:
    colours = [colour.strip() for colour in text.split(",") if colour.strip()]
    if not colours:
        raise BadInput("colours must name at least one", repr(text))
    for colour in colours:
        parse_colour(colour)  # a wrong one is said before the work
    return colours


def _names(text: str) -> list[str]:
    """A name for each matte: the one at its socket's place, else the socket's."""
    names = [name.strip() for name in text.split(",")] + [""] * len(_MATTES)
    return [name or place.replace("_", " ") for name, place in zip(names, _MATTES, strict=False)]
