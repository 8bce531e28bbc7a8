"""Puppet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.errors import BadInput
from ..toonout_core.motion.options import PuppetOptions
from ..toonout_core.options import clips
from .host import ComfyHost
from .moving import (
    ALL,
    characters_of,
    clip_result,
    keep_widget,
    option_widgets,
    options_of,
    picture_inputs,
    plate_of,
    video_outputs,
)
from .types import CATEGORY, Node, schema, widget

PoseKeypoint = io.Custom("POSE_KEYPOINT")  # core's, DWPose's and controlnet_aux's

NO_BVH = clips.BVH.default
BEHIND, ALONE = clips.SHOW.choices


class Puppet(Node):
    """Picture, characters, joints → a clip in which the characters move."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_Puppet",
            display_name="Puppet (ToonOut)",
            category=f"{CATEGORY}/motion",
            description=(
                "Lets the characters of a picture breathe, wave, walk or dance, or follow the "
                "poses of a clip. Each one bends as rigidly as it can. Needs no OpenGL and no GPU."
            ),
            search_aliases=["animate", "rig", "bones", "live2d", "animated drawings", "arap"],
            inputs=[
                *picture_inputs(),
                PoseKeypoint.Input(
                    "pose",
                    optional=True,
                    tooltip=(
                        "Joints from DWPose or another estimator. One frame: those of this "
                        "picture. More: they drive the characters. Without it joints are guessed."
                    ),
                ),
                *option_widgets(PuppetOptions),
                widget(clips.SHOW, optional=True),
                widget(clips.BVH, options=[NO_BVH, *_bvh_files()], optional=True),
                keep_widget(),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The frames, RGB."),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="The alpha of all characters in each frame. White = character.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="Joints of each character in pixels, as JSON, and what to know.",
                ),
                *video_outputs(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        instances: Any = None,
        mask: Tensor | None = None,
        background: Tensor | None = None,
        pose: Any = None,
        show: str = BEHIND,
        bvh: str = NO_BVH,
        output: str = ALL,
        **values: Any,
    ) -> io.NodeOutput:
        from ..toonout_core.motion.puppet.stage import puppet_show

        options = options_of(PuppetOptions, values)
        host = ComfyHost()
        picture, found, colours = characters_of(image, instances, mask, host)
        if not len(found):
            raise BadInput(
                "there must be a character to move", "none",
                "Connect instances from Segment Characters, or a mask.",
            )  # fmt: skip
        stage = puppet_show(
            picture, found, colours, options,
            plate=plate_of(background, picture), transparent=show == ALONE,
            poses=_poses(pose), sequence=_sequence(bvh),
        )  # fmt: skip
        made = clip_result(host, stage.frames, stage.count, options.fps, output)
        joints = {number: rig.points for number, rig in sorted(stage.rigs.items())}
        report = json.dumps({"notes": stage.notes, "joints": joints}, indent=1)
        return io.NodeOutput(made["images"], made["masks"], report, *made["video"])


def _poses(pose: Any) -> list[Any] | None:
    if pose is None:
        return None
    frames = list(pose) if isinstance(pose, Sequence) and not isinstance(pose, str) else [pose]
    if not frames:
        raise BadInput("pose must have a frame", "none")
    return frames


def _bvh_files() -> list[str]:
    """In the input folder itself."""
    return sorted(path.name for path in Path(folder_paths.get_input_directory()).glob("*.bvh"))


def _sequence(name: str) -> Any:
    if name == NO_BVH:
        return None
    if name not in _bvh_files():
        raise BadInput("bvh must be a file in ComfyUI's input folder", repr(name[:200]))
    from ..toonout_core.motion.puppet.bvh import read_bvh

    return read_bvh(Path(folder_paths.get_input_directory()) / name)
