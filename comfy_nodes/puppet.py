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
from . import given, made
from .host import ComfyHost
from .moving import (
    ALL,
    Scene,
    clip_result,
    keep_widget,
    option_widgets,
    options_of,
    scene_of,
    video_outputs,
)
from .types import CATEGORY, Node, inputs, outputs, schema, widget

NO_BVH = clips.BVH.default
_, ALONE = clips.SHOW.choices


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
                "poses of a clip. Each bends as little as possible. Needs no OpenGL and no GPU."
            ),
            search_aliases=["animate", "rig", "bones", "live2d", "animated drawings", "arap"],
            inputs=[
                *inputs(given.ONE_IMAGE, given.MOVED_INSTANCES, given.MOVED_MATTE),
                *inputs(given.PLATE, given.POSE),
                *option_widgets(PuppetOptions),
                widget(clips.SHOW, optional=True),
                widget(clips.BVH, options=[NO_BVH, *_bvh_files()], optional=True),
                keep_widget(),
            ],
            outputs=[*outputs(*made.PUPPET_CLIP), *video_outputs()],
        )

    @classmethod
    def execute(
        cls, image: Tensor, pose: Any = None, bvh: str = NO_BVH, **values: Any
    ) -> io.NodeOutput:
        from ..toonout_core.motion.puppet.stage import puppet_show

        options, host = options_of(PuppetOptions, values), ComfyHost()
        scene = scene_of(image, values, host)
        _require_somebody(scene)
        stage = puppet_show(
            scene.picture, scene.found, scene.colours, options,
            plate=scene.plate, transparent=values.get("show") == ALONE,
            poses=_poses(pose), sequence=_sequence(bvh),
        )  # fmt: skip
        clip = clip_result(host, stage.frames, stage.count, options.fps, values.get("output", ALL))
        joints = {number: rig.points for number, rig in sorted(stage.rigs.items())}
        report = json.dumps({"notes": stage.notes, "joints": joints}, indent=1)
        return io.NodeOutput(clip["images"], clip["masks"], report, *clip["video"])


def _require_somebody(scene: Scene) -> None:
    if not len(scene.found):
        raise BadInput(
            "there must be a character to move", "none",
            "Connect instances from Segment Characters, or a mask.",
        )  # fmt: skip


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
