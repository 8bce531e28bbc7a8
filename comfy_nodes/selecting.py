"""Select Characters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.choosing import boxes_of_frame, choose, parse_points
from ..toonout_core.chosen import choice_of
from ..toonout_core.imaging import from_comfy, mask_from_comfy
from ..toonout_core.options import characters as options
from .batches import check_size
from .found import as_frames, canvas, found_outputs, found_result, matched_frames
from .types import CATEGORY, SOCKET_ONLY, Boxes, InstancesLink, Node, schema, widgets


class SelectInstances(Node):
    """Characters → those that are meant, and the rest."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_SelectInstances",
            display_name="Select Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Picks characters by number, point, box, mask, score or size, and sorts them. All "
                "conditions must hold; what is not set does not count."
            ),
            search_aliases=["filter", "pick", "sort", "index", "segs filter"],
            inputs=[
                InstancesLink.Input("instances", tooltip="From any node that gives characters."),
                io.Image.Input(
                    "image", optional=True, tooltip="The picture, for the preview only."
                ),
                io.Mask.Input(
                    "inside",
                    optional=True,
                    tooltip="Only characters of which half lies in it. White = character wanted.",
                ),
                Boxes.Input(
                    "boxes",
                    optional=True,
                    extra_dict=SOCKET_ONLY,
                    tooltip="For each box the character that overlaps it most.",
                ),
                *widgets(options.NUMBERS, options.POINTS, options.CHOSEN_SCORE),
                *widgets(options.CHOSEN_LEAST_AREA, options.CHOSEN_MOST_AREA, options.CHOSEN_ORDER),
                *widgets(options.REVERSE, options.CHOSEN_COUNT, options.EXCLUSIVE),
            ],
            outputs=[
                *found_outputs(),
                InstancesLink.Output(
                    display_name="rest", tooltip="The other characters, in their old order."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        instances: Any,
        points: str,
        exclusive: bool = False,
        image: Tensor | None = None,
        inside: Tensor | None = None,
        boxes: Any = None,
        **chosen: Any,
    ) -> io.NodeOutput:
        frames = as_frames(instances)
        picture = canvas(frames) if image is None else from_comfy(image)[0]
        picture, frames = matched_frames(picture, frames)
        area = None if inside is None else mask_from_comfy(inside)
        if area is not None:
            check_size(area, picture)
        pairs = [
            choose(
                found,
                replace(
                    choice_of(chosen),
                    points_xy=parse_points(points, found.size_hw) if points.strip() else None,
                    boxes_xyxy=None if boxes is None else boxes_of_frame(boxes, number),
                    inside=None if area is None else area[min(number, len(area) - 1), 0],
                ),
            )
            for number, found in enumerate(frames)
        ]
        selected = tuple(kept.exclusive() if exclusive else kept for kept, _ in pairs)
        return io.NodeOutput(*found_result(picture, selected), tuple(rest for _, rest in pairs))
