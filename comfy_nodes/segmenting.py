"""Segment Characters, and Characters from Prompts."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances, SegmentOptions
from ..toonout_core.choosing import (
    TidyOptions,
    boxes_of_frame,
    parse_boxes,
    parse_points,
    tidy,
)
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy
from .batches import check_size
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
from .models import flattened
from .segmenters import LoadedSegmenter, as_segmenter
from .types import CATEGORY, SOCKET_ONLY, Boxes, SegmenterModel, schema, widget


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


class SegmentInstances(io.ComfyNode):
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
                        "mistakes. Regions of a matte have no such score."
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
        tidying = TidyOptions(
            drop_duplicates, min_area_percent / 100, max_count, sort_by, False, grow_px, feather_px
        )
        picture, alpha = from_comfy(image)
        found = loaded.pipeline.segment(flattened(picture, alpha), options)
        frames = when_none(tuple(tidy(instances, tidying) for instances in found), if_none)
        notes = [f"model: {loaded.pipeline.name}"]
        return io.NodeOutput(*found_result(picture, frames, notes))


class InstancesFromPrompts(io.ComfyNode):
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
                SegmenterModel.Input(
                    "segmenter", tooltip="From Load Character Segmenter (ToonOut)."
                ),
                io.Image.Input("image", tooltip="One picture or a batch: the prompts go to each."),
                Boxes.Input(
                    "boxes",
                    optional=True,
                    extra_dict=SOCKET_ONLY,
                    tooltip="Boxes of any detector that gives ComfyUI's BOUNDING_BOX.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="Rough masks, one for each character: painted, or from SAM. "
                    "White = character.",
                ),
                widget(
                    io.String,
                    "box_lines",
                    default="",
                    multiline=True,
                    placeholder="boxes, one a line: x0, y0, x1, y1",
                    tooltip=(
                        "A box a line: x0, y0, x1, y1 in pixels, or in percent with a % sign. JSON "
                        "with x, y, width, height works too."
                    ),
                ),
                widget(
                    io.String,
                    "point_lines",
                    default="",
                    multiline=True,
                    placeholder="points, one a line: x, y",
                    tooltip=(
                        "A point on each character: x, y in pixels, or in percent with a % sign. "
                        "JSON with x and y works too, as point editors give it."
                    ),
                ),
                *mask_widgets(),
                widget(
                    io.Float,
                    "min_overlap",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip=(
                        "How well a box must agree with one that the detector sees (IoU), for its "
                        "mask to be taken. Below it your box itself goes to the refiner. 1: always."
                    ),
                ),
                *edge_widgets(),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        segmenter: Any,
        image: Tensor,
        box_lines: str,
        point_lines: str,
        soft: bool,
        refine_area: Any,
        min_overlap: float,
        grow_px: float,
        feather_px: float,
        boxes: Any = None,
        masks: Tensor | None = None,
    ) -> io.NodeOutput:
        loaded = as_segmenter(segmenter)
        picture, alpha = from_comfy(image)
        seen = flattened(picture, alpha)
        options = SegmentOptions(soft=soft, area=refine_area)
        frames: list[Instances] = []
        with loaded.host.progress(len(seen), "instances") as report:
            for number, frame in enumerate(seen.split(1)):
                prompts = _Prompts(frame, number, boxes, box_lines, point_lines, masks)
                found = prompts.ask(loaded, frame, options, min_overlap)
                tidied = tidy(found, TidyOptions(grow_px=grow_px, feather_px=feather_px))
                frames.append(tidied)
                report(1)
        notes = [f"model: {loaded.pipeline.name}"]
        return io.NodeOutput(*found_result(picture, tuple(frames), notes))


class _Prompts:
    """All that is asked for in one frame."""

    def __init__(
        self,
        frame: Tensor,
        number: int,
        boxes: Any,
        box_lines: str,
        point_lines: str,
        masks: Tensor | None,
    ) -> None:
        size_hw = (int(frame.shape[-2]), int(frame.shape[-1]))
        given = parse_boxes(box_lines, size_hw)
        if boxes is not None:
            given = torch.cat((boxes_of_frame(boxes, number), given))
        self.boxes_xyxy = given
        self.points_xy = parse_points(point_lines, size_hw)
        self.masks = None if masks is None else mask_from_comfy(masks)
        if self.masks is not None:
            check_size(self.masks, frame)
        if boxes is None and masks is None and not len(given) and not len(self.points_xy):
            raise BadInput(
                "there must be a box, a point or a mask",
                "none",
                "Connect boxes or masks, or write coordinates.",
            )

    def ask(
        self, loaded: LoadedSegmenter, frame: Tensor, options: SegmentOptions, min_overlap: float
    ) -> Instances:
        pipeline = loaded.pipeline
        parts: list[Instances] = []
        if len(self.boxes_xyxy):
            # one more than every overlap: the box itself
            least = min_overlap if min_overlap < 1 else 2.0
            parts.append(pipeline.segment_boxes(frame, self.boxes_xyxy, options, min_iou=least))
        if len(self.points_xy):
            parts.append(pipeline.segment_points(frame, self.points_xy, options))
        if self.masks is not None:
            parts.append(pipeline.segment_masks(frame, self.masks[:, 0], options))
        if not parts:
            return Instances.none((int(frame.shape[-2]), int(frame.shape[-1])))
        return _joined(parts)


def _joined(parts: list[Instances]) -> Instances:
    if len(parts) == 1:
        return parts[0]
    masks = torch.cat([part.masks.cpu() for part in parts])
    scores = torch.cat([part.scores.cpu() for part in parts])
    origins = dict.fromkeys(part.origin for part in parts)
    return Instances.from_masks(masks, scores, origin=", ".join(origins))
