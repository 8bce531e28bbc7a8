"""Adjust Matte."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.chosen import adjust_options
from ..toonout_core.imaging import mask_from_comfy, mask_to_comfy
from ..toonout_core.ops.adjust import adjust
from ..toonout_core.options import cutout
from . import given, made
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class AdjustMatte(Node):
    """MASK → MASK."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_AdjustMatte",
            display_name="Adjust Matte (ToonOut)",
            category=f"{CATEGORY}/mask",
            description=(
                "Levels, gamma, grow or shrink by parts of a pixel, feather, fill holes and drop "
                "specks. Follow it with Estimate Foreground when the edge moves."
            ),
            search_aliases=["levels", "choke", "erode", "dilate", "feather", "despeckle", "holes"],
            inputs=[*inputs(given.MASK), *widgets(*cutout.MATTE)],
            outputs=outputs(made.ADJUSTED),
        )

    @classmethod
    def execute(cls, mask: Tensor, **chosen: Any) -> io.NodeOutput:
        adjusted = adjust(mask_from_comfy(mask), adjust_options(chosen))
        return io.NodeOutput(mask_to_comfy(adjusted))
