"""Characters to SEGS, for the Impact Pack."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances
from ..toonout_core.imaging import from_comfy, to_comfy
from ..toonout_core.options import characters as options
from . import given, made
from .found import as_frames, matched_frames
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class SEG(NamedTuple):
    """One item in the layout that the Impact Pack reads by attribute."""

    cropped_image: Tensor | None
    cropped_mask: npt.NDArray[np.float32]
    confidence: float
    crop_region: tuple[int, int, int, int]
    bbox: tuple[int, int, int, int]
    label: str
    control_net_wrapper: Any = None


class InstancesToSegs(Node):
    """Characters → SEGS."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_InstancesToSEGS",
            display_name="Characters to SEGS (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "For the nodes of the Impact Pack: Detailer (SEGS), SEGS Paste and so on. Of a "
                "batch, a list with the SEGS of each picture."
            ),
            search_aliases=["impact pack", "detailer", "adetailer", "segs"],
            inputs=[
                *inputs(given.INSTANCES, given.FOR_CROPS),
                *widgets(options.CROP_FACTOR, options.LABEL),
            ],
            outputs=outputs(made.SEGS),
        )

    @classmethod
    def execute(
        cls, instances: Any, crop_factor: float, label: str, image: Tensor | None = None
    ) -> io.NodeOutput:
        frames = as_frames(instances)
        pictures: list[Tensor | None] = [None] * len(frames)
        if image is not None:
            picture, frames = matched_frames(from_comfy(image)[0], frames)
            pictures = list(picture.split(1))
        pairs = zip(frames, pictures, strict=True)
        return io.NodeOutput([_segs(found, part, crop_factor, label) for found, part in pairs])


def _segs(
    instances: Instances, picture: Tensor | None, crop_factor: float, label: str
) -> tuple[tuple[int, int], list[SEG]]:
    items: list[SEG] = []
    for one in instances:
        left, top, right, bottom = (int(edge) for edge in one.boxes_xyxy[0])
        if right == left:
            continue
        box = (left, top, right, bottom)
        region = _region(box, instances.size_hw, crop_factor)
        window = slice(region[1], region[3]), slice(region[0], region[2])
        items.append(
            SEG(
                None if picture is None else to_comfy(picture[(..., *window)]),
                one.masks[0][window].cpu().numpy().astype(np.float32),
                float(one.scores[0]),
                region,
                box,
                label,
            )
        )
    return instances.size_hw, items


def _region(
    box_xyxy: tuple[int, int, int, int], size_hw: tuple[int, int], factor: float
) -> tuple[int, int, int, int]:
    """Larger by the factor around its middle, moved into the picture."""
    left, right = _stretched(box_xyxy[0], box_xyxy[2], factor, size_hw[1])
    top, bottom = _stretched(box_xyxy[1], box_xyxy[3], factor, size_hw[0])
    return left, top, right, bottom


def _stretched(start: int, stop: int, factor: float, limit: int) -> tuple[int, int]:
    length = min(round((stop - start) * factor), limit)
    first = (start + stop - length) // 2
    first = max(min(first, limit - length), 0)
    return first, first + length
