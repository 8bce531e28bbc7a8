"""Segment Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import SegmentOptions
from ..toonout_core.characters.choosing import TidyOptions, tidy
from ..toonout_core.imaging import from_comfy
from ..toonout_core.ops.adjust import AdjustOptions
from ..toonout_core.ops.compositing import on_white
from .found import (
    IF_NONE,
    IF_NONE_TIP,
    ORDER_TIP,
    ORDERS,
    IfNone,
    found_outputs,
    found_result,
    when_none,
)
from .segmenters import as_segmenter
from .types import CATEGORY, Node, SegmenterModel, schema, widget


def mask_widgets() -> list[Any]:
    """How masks are made."""
    return [
        widget(
            io.Boolean,
            "soft",
            default=True,
            tooltip="Masks with soft edges. Off: black and white only.",
        ),
        widget(
            io.Combo,
            "refine_area",
            options=["picture", "box"],
            default="picture",
            tooltip=(
                "What the refiner sees at a time. picture: as it was trained. box: the "
                "surroundings of each character, for more detail in large pictures."
            ),
        ),
    ]


def edge_widgets() -> list[Any]:
    """What is done to masks at the end."""
    return [
        widget(
            io.Float,
            "grow_px",
            default=0.0,
            min=-200.0,
            max=200.0,
            step=0.5,
            tooltip="Pixels by which the masks' edges move outwards; negative: inwards.",
        ),
        widget(
            io.Float,
            "feather_px",
            default=0.0,
            min=0.0,
            max=200.0,
            step=0.5,
            tooltip="Softens the masks' edges by that many pixels.",
        ),
    ]


def speck_widgets() -> list[Any]:
    """What is cleaned up in masks."""
    return [
        widget(
            io.Int,
            "fill_holes_px",
            default=0,
            min=0,
            max=100_000_000,
            advanced=True,
            tooltip="Holes in a mask of at most that many pixels are closed.",
        ),
        widget(
            io.Int,
            "drop_specks_px",
            default=0,
            min=0,
            max=100_000_000,
            advanced=True,
            tooltip="Loose specks of a mask of at most that many pixels are removed.",
        ),
    ]


class SegmentInstances(Node):
    """Pictures → characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_SegmentInstances",
            display_name="Segment Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Finds every character and gives each a mask of its own, in a stable order: as a "
                "batch, as a list (what follows runs once for each), and all in one."
            ),
            search_aliases=["instance segmentation", "detect", "person mask", "yolo", "sam"],
            inputs=[
                SegmenterModel.Input(
                    "segmenter", tooltip="From Load Character Segmenter (ToonOut)."
                ),
                io.Image.Input("image", tooltip="One picture or a batch, RGB or RGBA."),
                widget(
                    io.Float,
                    "min_score",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "How sure the detector must be. Lower: more characters, and more "
                        "mistakes. Regions of a matte are scored by their mean opacity."
                    ),
                ),
                widget(
                    io.Int,
                    "max_count",
                    default=20,
                    min=0,
                    max=1000,
                    tooltip="At most so many in a picture, those of the best scores. 0: all.",
                ),
                widget(
                    io.Combo, "sort_by", options=ORDERS, default="left-right", tooltip=ORDER_TIP
                ),
                *mask_widgets(),
                widget(
                    io.Boolean,
                    "drop_duplicates",
                    default=True,
                    tooltip="Leaves out a mask that lies in larger ones by four fifths.",
                ),
                widget(
                    io.Float,
                    "min_area_percent",
                    default=0.2,
                    min=0.0,
                    max=100.0,
                    step=0.05,
                    tooltip="Leaves out crumbs: masks that cover less of the picture than this.",
                ),
                *edge_widgets(),
                widget(
                    io.Combo,
                    "if_none",
                    options=list(IF_NONE),
                    default="empty mask",
                    tooltip=IF_NONE_TIP,
                ),
                widget(
                    io.Int,
                    "resolution",
                    default=0,
                    min=0,
                    max=4096,
                    step=32,
                    advanced=True,
                    tooltip=(
                        "Side of the square that the detector sees. 0: what it was trained with. "
                        "Larger finds smaller characters."
                    ),
                ),
                *speck_widgets(),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        segmenter: Any,
        image: Tensor,
        min_score: float,
        max_count: int,
        sort_by: Any,
        soft: bool,
        refine_area: Any,
        drop_duplicates: bool,
        min_area_percent: float,
        grow_px: float,
        feather_px: float,
        if_none: IfNone,
        resolution: int,
        fill_holes_px: int = 0,
        drop_specks_px: int = 0,
    ) -> io.NodeOutput:
        loaded = as_segmenter(segmenter)
        options = SegmentOptions(
            min_score=min_score,
            limit=max(100, max_count),
            soft=soft,
            area=refine_area,
            side_px=resolution or None,
            min_area=min_area_percent / 100,
        )
        adjust = AdjustOptions(
            fill_holes_px=fill_holes_px,
            drop_specks_px=drop_specks_px,
            grow_px=grow_px,
            feather_px=feather_px,
        )
        least = min_area_percent / 100
        tidying = TidyOptions(drop_duplicates, adjust, least, max_count, sort_by)
        picture, alpha = from_comfy(image)
        found = loaded.pipeline.segment(on_white(picture, alpha), options)
        frames = when_none(tuple(tidy(instances, tidying) for instances in found), if_none)
        notes = [f"model: {loaded.pipeline.name}"]
        return io.NodeOutput(*found_result(picture, frames, notes))
