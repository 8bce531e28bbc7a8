"""Ken Burns."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import from_comfy, mask_from_comfy
from ..toonout_core.motion.options import KenBurnsOptions
from . import given, made
from .host import ComfyHost
from .moving import (
    ALL,
    clip_result,
    keep_widget,
    option_widgets,
    options_of,
    scene_of,
    video_outputs,
)
from .types import CATEGORY, Node, inputs, outputs, schema


class KenBurns(Node):
    """Picture, characters, depth → a clip of a camera that moves."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_KenBurns",
            display_name="Ken Burns (ToonOut)",
            category=f"{CATEGORY}/motion",
            description=(
                "Moves a camera through a picture: characters are cards in front of their "
                "background and do not tear. Needs no OpenGL and no GPU."
            ),
            search_aliases=["parallax", "depthflow", "2.5d", "dolly zoom", "camera", "animate"],
            inputs=[
                *inputs(given.ONE_IMAGE, given.MOVED_INSTANCES, given.MOVED_MATTE),
                *inputs(given.DEPTH, given.PLATE),
                *option_widgets(KenBurnsOptions),
                keep_widget(),
            ],
            outputs=[*outputs(*made.KEN_BURNS_CLIP), *video_outputs()],
        )

    @classmethod
    def execute(cls, image: Tensor, depth: Tensor | None = None, **values: Any) -> io.NodeOutput:
        from ..toonout_core.motion.ken_burns import ken_burns

        options, host = options_of(KenBurnsOptions, values), ComfyHost()
        scene = scene_of(image, values, host)
        frames = ken_burns(
            scene.picture, scene.found, scene.colours, options,
            depth=_depth(depth), plate=scene.plate,
        )  # fmt: skip
        clip = clip_result(host, frames, options.frames, options.fps, values.get("output", ALL))
        return io.NodeOutput(clip["images"], clip["masks"], clip["alphas"], *clip["video"])


def _depth(depth: Tensor | None) -> Tensor | None:
    """IMAGE or MASK → B×1×h×w, as it is: what it should be is told by whoever reads it."""
    if depth is None:
        return None
    if depth.ndim == 4:
        return from_comfy(depth)[0][:, :1]
    return depth[:, None].float() if depth.ndim == 3 else mask_from_comfy(depth)
