"""Mattes of Characters, and Fuse Segments."""

from __future__ import annotations

import math
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import FusionOptions, Instances, ShareOptions, fuse, share_matte
from ..toonout_core import segment_anything as segments_of
from ..toonout_core.errors import BadInput, plain
from ..toonout_core.imaging import from_comfy, mask_from_comfy
from .batches import check_size
from .found import as_frames, found_outputs, found_result, matched_frames
from .host import INSTANCE_FOLDER, SAM_FOLDER, ComfyHost
from .selecting import canvas, joined_masks
from .types import CATEGORY, InstancesLink, Node, schema, widget

NO_SAM = "none"


class InstanceMattes(Node):
    """One matte of all, shared out among the characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_InstanceMattes",
            display_name="Mattes of Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Gives every character soft hair: one good matte of the whole picture is shared "
                "out among the characters, so that their mattes add up to it again."
            ),
            search_aliases=["soft mask", "hair", "alpha per person", "instance matting"],
            inputs=[
                io.Image.Input("image", tooltip="The picture with its background."),
                io.Mask.Input(
                    "mask",
                    tooltip=(
                        "The matte of the whole picture, from Cut Out Character. White = character."
                    ),
                ),
                InstancesLink.Input(
                    "instances", tooltip="Of the same picture, from Segment Characters."
                ),
                widget(
                    io.Boolean,
                    "trust_masks",
                    default=False,
                    tooltip=(
                        "What the characters' masks hold is opaque, even if the matte misses it: "
                        "for a matte that has lost one of them."
                    ),
                ),
                widget(
                    io.Float,
                    "uncertain_px",
                    default=0.0,
                    min=0.0,
                    max=500.0,
                    step=0.5,
                    advanced=True,
                    tooltip="How far from their edges the masks may be wrong. 0: by picture size.",
                ),
                widget(
                    io.Int,
                    "reach_px",
                    default=0,
                    min=0,
                    max=10_000,
                    advanced=True,
                    tooltip=(
                        "Parts of the matte farther from every mask than this belong to nobody. "
                        "0: everything belongs to somebody."
                    ),
                ),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        instances: Any,
        trust_masks: bool,
        uncertain_px: float,
        reach_px: int,
    ) -> io.NodeOutput:
        options = ShareOptions(
            uncertain_px=uncertain_px or None,
            reach_px=reach_px or math.inf,
            trust_masks=trust_masks,
        )
        picture, _ = from_comfy(image)
        alpha = mask_from_comfy(mask)
        check_size(alpha, picture)
        picture, frames = matched_frames(picture, as_frames(instances))
        alpha, frames = matched_frames(alpha, frames)
        picture, frames = matched_frames(picture, frames)
        shared: list[Instances] = []
        host = ComfyHost()
        with host.progress(len(frames), "mattes") as report:
            for frame, plane, found in zip(picture.split(1), alpha.split(1), frames, strict=True):
                shared.append(share_matte(plane, found, frame, options, host=host))
                report(1)
        return io.NodeOutput(*found_result(picture, tuple(shared)))


def sam_checkpoints() -> list[str]:
    """Files in models/sams."""
    return [NO_SAM, *sorted(folder_paths.get_filename_list(SAM_FOLDER))]


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
                "detector found roughly: every segment goes to the character that claims enough "
                "of it."
            ),
            search_aliases=["sam", "segment anything", "vote", "combine masks", "yolo sam"],
            inputs=[
                InstancesLink.Input(
                    "instances", tooltip="What a detector found: rough masks, but the right ones."
                ),
                io.Mask.Input(
                    "segments",
                    optional=True,
                    tooltip=(
                        "A batch of segments of the same picture, of whatever: from ComfyUI's SAM "
                        "3 or any SAM pack. White = character or any other thing."
                    ),
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture: for the preview, and for segment_anything.",
                ),
                widget(
                    io.Combo,
                    "vote",
                    options=["coverage", "iou"],
                    default="coverage",
                    tooltip=(
                        "When a segment belongs to a character. coverage: so much of the segment "
                        "lies in the mask. iou: both agree so much."
                    ),
                ),
                widget(
                    io.Float,
                    "threshold",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much, from 0 to 1. Lower takes more segments.",
                ),
                widget(
                    io.Int,
                    "radius_px",
                    default=2,
                    min=0,
                    max=100,
                    advanced=True,
                    tooltip="Disk by which the detector's masks are eroded and dilated first.",
                ),
                widget(
                    io.Int,
                    "erosions",
                    default=3,
                    min=0,
                    max=50,
                    advanced=True,
                    tooltip="How often they are eroded: what is thin or at the edge does not vote.",
                ),
                widget(
                    io.Int,
                    "dilations",
                    default=2,
                    min=0,
                    max=50,
                    advanced=True,
                    tooltip="How often they are dilated after that.",
                ),
                widget(
                    io.Boolean,
                    "per_character",
                    default=True,
                    advanced=True,
                    tooltip="Off: all characters become one mask.",
                ),
                widget(
                    io.Combo,
                    "segment_anything",
                    options=sam_checkpoints(),
                    default=NO_SAM,
                    advanced=True,
                    tooltip=(
                        "Instead of the segments input: a checkpoint in models/sams. Needs the "
                        "Python package segment-anything."
                    ),
                ),
            ],
            outputs=found_outputs(),
        )

    @classmethod
    def execute(
        cls,
        instances: Any,
        vote: Any,
        threshold: float,
        radius_px: int,
        erosions: int,
        dilations: int,
        per_character: bool,
        segment_anything: str,
        segments: Tensor | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        frames = as_frames(instances)
        picture = canvas(frames) if image is None else from_comfy(image)[0]
        picture, frames = matched_frames(picture, frames)
        options = FusionOptions(vote, threshold, radius_px, erosions, dilations, per_character)
        if segments is not None and len(frames) > 1:
            raise BadInput(
                "segments must be of one picture",
                f"instances of {len(frames)} pictures",
                "Run this node once for each picture, as a list.",
            )
        if segments is None and (image is None or segment_anything == NO_SAM):
            raise BadInput(
                "there must be segments",
                "neither the segments input, nor an image and a checkpoint for segment_anything",
                "Connect masks of SAM, or put a checkpoint into models/sams and choose it.",
            )
        planes = None if segments is None else joined_masks([segments])
        fused: list[Instances] = []
        host = ComfyHost(INSTANCE_FOLDER)
        with host.progress(len(frames), "fusing") as report:
            for frame, found in zip(picture.split(1), frames, strict=True):
                if len(found):  # else there is nobody to ask a slow network for
                    of_frame = planes
                    if of_frame is None:
                        of_frame = _segments(frame, segment_anything, host)
                    found = fuse(found, of_frame, options)
                fused.append(found)
                report(1)
        return io.NodeOutput(*found_result(picture, tuple(fused)))


def _segments(picture: Tensor, checkpoint: str, host: ComfyHost) -> Tensor:
    """M×H×W of Segment Anything."""
    path = folder_paths.get_full_path(SAM_FOLDER, checkpoint)
    if path is None:  # a connected input could name any file of this machine
        raise BadInput("segment_anything must be a file in models/sams", repr(plain(checkpoint)))
    return segments_of(picture, path, host)
