"""Segment Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.choosing import tidy
from ..toonout_core.chosen import segment_options, tidy_options
from ..toonout_core.imaging import from_comfy
from ..toonout_core.ops.compositing import on_white
from ..toonout_core.options import characters as options
from ..toonout_core.options import cutout
from ..toonout_core.options.models import DETECTOR_RESOLUTION
from . import given, made
from .found import found_result, when_none
from .models import as_segmenter
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


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
                "batch, as a list (nodes after it run once for each), and all in one."
            ),
            search_aliases=["instance segmentation", "detect", "person mask", "yolo", "sam"],
            inputs=[
                *inputs(given.SEGMENTER, given.IMAGE),
                *widgets(options.MIN_SCORE, options.MAX_COUNT, options.SORT_BY, options.SOFT),
                *widgets(options.REFINE_AREA, options.DROP_DUPLICATES, advanced=True),
                *widgets(options.MIN_AREA, *options.EDGES),
                *widgets(options.IF_NONE, DETECTOR_RESOLUTION, advanced=True),
                *widgets(cutout.FILL_HOLES, cutout.DROP_SPECKS, advanced=True),
            ],
            outputs=outputs(*made.FOUND),
        )

    @classmethod
    def execute(cls, segmenter: Any, image: Tensor, **chosen: Any) -> io.NodeOutput:
        pipeline = as_segmenter(segmenter).pipeline
        picture, alpha = from_comfy(image)
        found = pipeline.segment(on_white(picture, alpha), segment_options(chosen))
        tidied = tuple(tidy(instances, tidy_options(chosen)) for instances in found)
        frames = when_none(tidied, chosen["if_none"])
        return io.NodeOutput(*found_result(picture, frames, [f"model: {pipeline.name}"]))
