"""Select Characters, and Characters from Masks."""

from __future__ import annotations

from typing import Any, Literal

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances
from ..toonout_core.characters.choosing import (
    Choice,
    TidyOptions,
    boxes_of_frame,
    choose,
    parse_points,
    separate,
    tidy,
)
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy
from .batches import check_size
from .found import ORDER_TIP, ORDERS, as_frames, found_outputs, found_result, matched_frames
from .types import CATEGORY, SOCKET_ONLY, Boxes, InstancesLink, Node, schema, widget

AS_THEY_ARE = "as they are"


def percent_widget(name: str, default: float, tooltip: str) -> Any:
    """A share of the picture."""
    return widget(io.Float, name, default=default, min=0.0, max=100.0, step=0.05, tooltip=tooltip)


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
                widget(
                    io.String,
                    "numbers",
                    default="",
                    tooltip=(
                        "Numbers as in the preview, in the order that you want: 0, 2-4. -1 is the "
                        "last one. Empty: all. A range is cut to what is there."
                    ),
                ),
                widget(
                    io.String,
                    "points",
                    default="",
                    tooltip=(
                        "Those at these points: x, y in pixels, or in percent with a % sign; more "
                        "points after a semicolon."
                    ),
                ),
                widget(
                    io.Float,
                    "min_score",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Leaves out those of which the detector was less sure.",
                ),
                percent_widget(
                    "min_area_percent", 0.0, "Leaves out those that cover less of the picture."
                ),
                percent_widget(
                    "max_area_percent", 100.0, "Leaves out those that cover more of the picture."
                ),
                widget(
                    io.Combo,
                    "sort_by",
                    options=[AS_THEY_ARE, *ORDERS],
                    default=AS_THEY_ARE,
                    tooltip=ORDER_TIP,
                ),
                widget(io.Boolean, "reverse", default=False, tooltip="The opposite of sort_by."),
                widget(
                    io.Int,
                    "max_count",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Keeps the first so many, after sorting. 0: all.",
                ),
                widget(
                    io.Boolean,
                    "exclusive",
                    default=False,
                    tooltip=(
                        "Each pixel belongs to one: where masks overlap, the first of the order is "
                        "in front and the others lose it."
                    ),
                ),
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
        numbers: str,
        points: str,
        min_score: float,
        min_area_percent: float,
        max_area_percent: float,
        sort_by: Any,
        reverse: bool,
        max_count: int,
        exclusive: bool = False,
        image: Tensor | None = None,
        inside: Tensor | None = None,
        boxes: Any = None,
    ) -> io.NodeOutput:
        frames = as_frames(instances)
        picture = canvas(frames) if image is None else from_comfy(image)[0]
        picture, frames = matched_frames(picture, frames)
        area = None if inside is None else mask_from_comfy(inside)
        if area is not None:
            check_size(area, picture)
        chosen: list[tuple[Instances, Instances]] = []
        for number, found in enumerate(frames):
            choice = Choice(
                numbers=numbers,
                points_xy=parse_points(points, found.size_hw) if points.strip() else None,
                boxes_xyxy=None if boxes is None else boxes_of_frame(boxes, number),
                inside=None if area is None else area[min(number, len(area) - 1), 0],
                min_score=min_score,
                min_area=min_area_percent / 100,
                max_area=max_area_percent / 100,
                order=None if sort_by == AS_THEY_ARE else sort_by,
                reverse=reverse,
                limit=max_count,
            )
            chosen.append(choose(found, choice))
        selected = tuple(pair[0].exclusive() if exclusive else pair[0] for pair in chosen)
        rest = tuple(pair[1] for pair in chosen)
        return io.NodeOutput(*found_result(picture, selected), rest)


class InstancesFromMasks(Node):
    """Masks of any node → characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_InstancesFromMasks",
            display_name="Characters from Masks (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Makes characters of masks from anywhere: SAM, a painted mask, another detector. A "
                "batch or a list, all of one picture; or one mask, taken apart into its regions."
            ),
            search_aliases=["mask to segs", "mask list", "connected components", "split mask"],
            is_input_list=True,
            inputs=[
                io.Mask.Input(
                    "masks",
                    tooltip="A batch or a list of masks of one picture. White = character.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The picture, for the preview only."
                ),
                widget(
                    io.Combo,
                    "split",
                    options=["one each", "connected regions"],
                    default="one each",
                    tooltip=(
                        "one each: every mask is a character. connected regions: every separate "
                        "part of a mask is one."
                    ),
                ),
                widget(
                    io.Boolean,
                    "drop_duplicates",
                    default=False,
                    tooltip="Leaves out a mask that lies in larger ones by four fifths.",
                ),
                percent_widget(
                    "min_area_percent",
                    0.1,
                    "Leaves out crumbs: masks that cover less of the picture than this.",
                ),
                widget(
                    io.Combo,
                    "sort_by",
                    options=[AS_THEY_ARE, *ORDERS],
                    default=AS_THEY_ARE,
                    tooltip=ORDER_TIP,
                ),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        masks: list[Tensor],
        split: list[Literal["one each", "connected regions"]],
        drop_duplicates: list[bool],
        min_area_percent: list[float],
        sort_by: list[Any],
        image: list[Tensor] | None = None,
    ) -> io.NodeOutput:
        planes = joined_masks(masks)
        found = Instances.from_masks(planes)
        if split[0] == "connected regions":
            found = separate(planes)
        order = None if sort_by[0] == AS_THEY_ARE else sort_by[0]
        least = min_area_percent[0] / 100
        tidying = TidyOptions(drop_duplicates[0], min_area=least, order=order)
        frames = (tidy(found, tidying),)
        picture = canvas(frames) if image is None else from_comfy(image[0][:1])[0]
        return io.NodeOutput(*found_result(picture, frames))


def joined_masks(masks: list[Tensor]) -> Tensor:
    """Batches of masks of one picture → N×H×W."""
    planes = [mask_from_comfy(mask)[:, 0].cpu() for mask in masks]
    sizes = {tuple(plane.shape[-2:]) for plane in planes}
    if len(sizes) > 1:
        raise BadInput(
            "masks must be of one picture and have one size",
            " and ".join(f"{width}×{height}" for height, width in sorted(sizes)),
            "Resize them first.",
        )
    return torch.cat(planes)


def canvas(frames: tuple[Instances, ...]) -> Tensor:
    """Grey, for a preview without the picture."""
    return torch.full((len(frames), 3, *frames[0].size_hw), 0.25)
