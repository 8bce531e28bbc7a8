"""Select Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.choosing import Places, choose_of_frames
from ..toonout_core.chosen import choice_of
from ..toonout_core.options import characters as options
from . import given, made
from .batches import mask_of
from .found import as_frames, found_result, shown_with
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class SelectInstances(Node):
    """Characters → those that are meant, and the rest."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_SelectInstances",
            display_name="Select Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Picks characters by number, point, box, mask, score or size, and sorts them. A "
                "character must meet all conditions that are set."
            ),
            search_aliases=["filter", "pick", "sort", "index", "segs filter"],
            inputs=[
                *inputs(given.INSTANCES, given.FOR_PREVIEW, given.INSIDE, given.BOXES_TO_CHOOSE),
                *widgets(options.NUMBERS, options.POINTS, options.CHOSEN_SCORE),
                *widgets(options.CHOSEN_LEAST_AREA, options.CHOSEN_MOST_AREA, options.CHOSEN_ORDER),
                *widgets(options.REVERSE, options.CHOSEN_COUNT, options.EXCLUSIVE),
            ],
            outputs=outputs(*made.FOUND, made.REST),
        )

    @classmethod
    def execute(
        cls,
        instances: Any,
        image: Tensor | None = None,
        inside: Tensor | None = None,
        boxes: Any = None,
        **chosen: Any,
    ) -> io.NodeOutput:
        picture, frames = shown_with(image, as_frames(instances))
        area = mask_of(picture, inside)
        places = Places(chosen["points"], boxes, None if area is None else area[:, 0])
        pairs = choose_of_frames(frames, choice_of(chosen), places)
        selected = tuple(kept.exclusive() if chosen.get("exclusive") else kept for kept, _ in pairs)
        return io.NodeOutput(*found_result(picture, selected), tuple(rest for _, rest in pairs))
