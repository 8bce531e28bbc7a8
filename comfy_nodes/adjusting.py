"""Adjust Matte."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import mask_from_comfy, mask_to_comfy
from ..toonout_core.ops.adjust import AdjustOptions, adjust
from .types import CATEGORY, Node, schema, widget


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
            inputs=[
                io.Mask.Input("mask", tooltip="White = character."),
                widget(
                    io.Float,
                    "black_point",
                    default=0.0,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    tooltip="What is darker becomes wholly transparent.",
                ),
                widget(
                    io.Float,
                    "white_point",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="What is lighter becomes wholly opaque. Must be above black_point.",
                ),
                widget(
                    io.Float,
                    "gamma",
                    default=1.0,
                    min=0.1,
                    max=10.0,
                    step=0.05,
                    tooltip="Above 1 the soft edge becomes lighter (fuller), below 1 thinner.",
                ),
                widget(
                    io.Float,
                    "grow_px",
                    default=0.0,
                    min=-100.0,
                    max=100.0,
                    step=0.25,
                    tooltip="Pixels by which the edge moves outwards; negative: inwards.",
                ),
                widget(
                    io.Float,
                    "feather_px",
                    default=0.0,
                    min=0.0,
                    max=200.0,
                    step=0.25,
                    tooltip="Softens the edge by that many pixels.",
                ),
                widget(
                    io.Int,
                    "fill_holes_px",
                    default=0,
                    min=0,
                    max=100_000_000,
                    tooltip="Holes in the character of at most that many pixels are closed.",
                ),
                widget(
                    io.Int,
                    "drop_specks_px",
                    default=0,
                    min=0,
                    max=100_000_000,
                    tooltip="Loose specks of at most that many pixels are removed.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="mask (white = character)",
                    tooltip="White = character, as it came in.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        mask: Tensor,
        black_point: float,
        white_point: float,
        gamma: float,
        grow_px: float,
        feather_px: float,
        fill_holes_px: int,
        drop_specks_px: int,
    ) -> io.NodeOutput:
        options = AdjustOptions(
            black=black_point,
            white=white_point,
            gamma=gamma,
            grow_px=grow_px,
            feather_px=feather_px,
            fill_holes_px=fill_holes_px,
            drop_specks_px=drop_specks_px,
        )
        return io.NodeOutput(mask_to_comfy(adjust(mask_from_comfy(mask), options)))
