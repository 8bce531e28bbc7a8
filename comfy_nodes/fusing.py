"""Fuse Segments."""

from __future__ import annotations

from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances, fuse
from ..toonout_core import segment_anything as segments_of
from ..toonout_core.chosen import fusion_options
from ..toonout_core.errors import BadInput, plain
from ..toonout_core.options import characters as options
from . import given, made
from .found import Frames, as_frames, found_result, shown_with
from .from_masks import joined_masks
from .host import INSTANCE_FOLDER, SAM_FOLDER, ComfyHost
from .menus import NONE, sam_checkpoints
from .types import CATEGORY, Node, inputs, outputs, schema, widget, widgets


class FuseSegments(Node):
    """Detector's masks and segments without names → better masks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_FuseSegments",
            display_name="Fuse Segments (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Takes the exact outlines of segments (SAM and the like) for characters that a "
                "detector found roughly: each segment goes to the character whose mask covers "
                "enough of it."
            ),
            search_aliases=["sam", "segment anything", "vote", "combine masks", "yolo sam"],
            inputs=[
                *inputs(given.ROUGH_INSTANCES, given.SEGMENTS, given.FOR_SEGMENTS),
                *widgets(options.VOTE, options.VOTE_THRESHOLD),
                *widgets(options.VOTE_RADIUS, options.EROSIONS, options.DILATIONS, advanced=True),
                widget(options.PER_CHARACTER, advanced=True),
                widget(options.SEGMENT_ANYTHING, options=sam_checkpoints(), advanced=True),
            ],
            outputs=outputs(*made.FOUND),
        )

    @classmethod
    def execute(
        cls,
        instances: Any,
        segment_anything: str,
        segments: Tensor | None = None,
        image: Tensor | None = None,
        **chosen: Any,
    ) -> io.NodeOutput:
        picture, frames = shown_with(image, as_frames(instances))
        _check(frames, segments, image, segment_anything)
        planes = None if segments is None else joined_masks([segments])
        fused: list[Instances] = []
        host = ComfyHost(INSTANCE_FOLDER)
        with host.progress(len(frames), "fusing") as report:
            for frame, found in zip(picture.split(1), frames, strict=True):
                if len(found):  # else there is nobody to ask a slow network for
                    given = _segments(frame, segment_anything, host) if planes is None else planes
                    found = fuse(found, given, fusion_options(chosen))
                fused.append(found)
                report(1)
        return io.NodeOutput(*found_result(picture, tuple(fused)))


def _check(
    frames: Frames, segments: Tensor | None, image: Tensor | None, segment_anything: str
) -> None:
    if segments is not None and len(frames) > 1:
        raise BadInput(
            "segments must be of one picture",
            f"instances of {len(frames)} pictures",
            "Run this node once for each picture, as a list.",
        )
    if segments is None and (image is None or segment_anything == NONE):
        raise BadInput(
            "there must be segments",
            "neither the segments input, nor an image and a checkpoint for segment_anything",
            "Connect masks of SAM, or put a checkpoint into models/sams and choose it.",
        )


def _segments(picture: Tensor, checkpoint: str, host: ComfyHost) -> Tensor:
    """M×H×W of Segment Anything."""
    path = folder_paths.get_full_path(SAM_FOLDER, checkpoint)
    if path is None:  # a connected input could name any file of this machine
        raise BadInput("segment_anything must be a file in models/sams", repr(plain(checkpoint)))
    return segments_of(picture, path, host)
