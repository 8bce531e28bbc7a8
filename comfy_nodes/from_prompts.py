"""Characters from Prompts."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.choosing import tidy
from ..toonout_core.characters.prompted import Prompts, segment_prompts
from ..toonout_core.chosen import segment_options, tidy_options
from ..toonout_core.imaging import from_comfy
from ..toonout_core.ops.compositing import on_white
from ..toonout_core.options import characters as options
from . import given, made
from .batches import mask_of
from .found import found_result
from .models import as_segmenter
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class InstancesFromPrompts(Node):
    """Boxes, points and rough masks → characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_InstancesFromPrompts",
            display_name="Characters from Prompts (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "For characters that the detector misses, or when you want certain ones: show them "
                "by boxes, points or rough masks, one for each. Results follow in this order: "
                "boxes, points, masks."
            ),
            search_aliases=["box prompt", "point prompt", "click", "sam", "refine mask"],
            inputs=[
                *inputs(given.SEGMENTER, given.PROMPTED_IMAGE),
                *inputs(given.BOXES_TO_SEGMENT, given.ROUGH_MASKS),
                *widgets(options.BOX_LINES, options.POINT_LINES, options.SOFT, options.REFINE_AREA),
                *widgets(options.MIN_OVERLAP, *options.EDGES),
            ],
            outputs=outputs(*made.FOUND),
        )

    @classmethod
    def execute(
        cls,
        segmenter: Any,
        image: Tensor,
        boxes: Any = None,
        masks: Tensor | None = None,
        **chosen: Any,
    ) -> io.NodeOutput:
        loaded = as_segmenter(segmenter)
        picture, alpha = from_comfy(image)
        rough = mask_of(picture, masks)
        prompts = Prompts(chosen["box_lines"], chosen["point_lines"], boxes, rough)
        asked = segment_options(chosen), chosen["min_overlap"]
        found: list[Any] = []
        with loaded.host.progress(len(picture), "instances") as report:
            for number, frame in enumerate(on_white(picture, alpha).split(1)):
                found.append(segment_prompts(loaded.pipeline, frame, number, prompts, *asked))
                report(1)
        frames = tuple(tidy(instances, tidy_options(chosen)) for instances in found)
        return io.NodeOutput(*found_result(picture, frames, [f"model: {loaded.pipeline.name}"]))
