"""Characters from Prompts."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances, SegmentOptions
from ..toonout_core.characters.choosing import (
    TidyOptions,
    boxes_of_frame,
    parse_boxes,
    parse_points,
    tidy,
)
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy
from ..toonout_core.ops.adjust import AdjustOptions
from ..toonout_core.ops.compositing import on_white
from .batches import check_size
from .found import found_outputs, found_result
from .segmenters import LoadedSegmenter, as_segmenter
from .segmenting import edge_widgets, mask_widgets
from .types import CATEGORY, SOCKET_ONLY, Boxes, Node, SegmenterModel, schema, widget


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
        seen = on_white(picture, alpha)
        options = SegmentOptions(soft=soft, area=refine_area)
        edges = TidyOptions(adjust=AdjustOptions(grow_px=grow_px, feather_px=feather_px))
        frames: list[Instances] = []
        with loaded.host.progress(len(seen), "instances") as report:
            for number, frame in enumerate(seen.split(1)):
                prompts = _Prompts(frame, number, boxes, box_lines, point_lines, masks)
                found = prompts.ask(loaded, frame, options, min_overlap)
                frames.append(tidy(found, edges))
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
