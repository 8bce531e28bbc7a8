"""YOLOv8-seg, sizes n to x: a network of our own for the published files."""

from __future__ import annotations

from ...words import NetworkInput
from ..architecture import Architecture, StateDict, count_items, size_of
from .head import Candidates
from .selecting import Selection, masks, select
from .yolov8_seg import YoloV8Seg

__all__ = ["ARCHITECTURE", "Candidates", "Selection", "YoloV8Seg", "build", "masks", "select"]

_HEAD = "model.22"


def build(state: StateDict) -> YoloV8Seg:
    """Make a YOLOv8-seg of the shapes in `state`, without its values."""
    one, two, three, four, five = (
        size_of(state, f"model.{layer}.conv.weight") for layer in (0, 1, 3, 5, 7)
    )
    first, second, third, fourth = (count_items(state, f"model.{n}.m") for n in (2, 4, 6, 8))
    return YoloV8Seg(
        widths=(one, two, three, four, five),
        depths=(first, second, third, fourth),
        neck_depth=count_items(state, "model.12.m"),
        classes=size_of(state, f"{_HEAD}.cv3.0.2.weight"),
        bins=size_of(state, f"{_HEAD}.cv2.0.2.weight") // 4,
        coefficients=size_of(state, f"{_HEAD}.cv4.0.2.weight"),
        box_width=size_of(state, f"{_HEAD}.cv2.0.0.conv.weight"),
        class_width=size_of(state, f"{_HEAD}.cv3.0.0.conv.weight"),
        mask_width=size_of(state, f"{_HEAD}.cv4.0.0.conv.weight"),
        prototype_width=size_of(state, f"{_HEAD}.proto.cv1.conv.weight"),
    )


ARCHITECTURE = Architecture(
    id="yolov8_seg",
    task="instances",
    keys=(
        "model.0.conv.weight",
        "model.2.m.0.cv1.conv.weight",
        "model.9.cv1.conv.weight",
        f"{_HEAD}.cv4.0.0.conv.weight",
        f"{_HEAD}.proto.upsample.weight",
        f"{_HEAD}.dfl.conv.weight",
    ),
    build=build,
    multiple_of=32,
    half=True,
    input=NetworkInput((640, 640), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "pad", fill=114 / 255),
    bytes_per_pixel=500,
)
