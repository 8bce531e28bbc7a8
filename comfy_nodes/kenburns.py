"""Ken Burns."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import from_comfy, mask_from_comfy
from ..toonout_core.motion.options import KenBurnsOptions
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
from .types import CATEGORY, Node, schema

AnyPicture = io.Custom("IMAGE,MASK")


class KenBurns(Node):
    """Picture, characters, depth → a clip of a camera that moves."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        image, instances, mask, background = picture_inputs()
        depth = AnyPicture.Input(
            "depth",
            optional=True,
            tooltip=(
                "A depth picture from any pack, of any size; near is white. Without it characters "
                "stand before a flat background."
            ),
        )
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
                image,
                instances,
                mask,
                depth,
                background,
                *option_widgets(KenBurnsOptions),
                keep_widget(),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images",
                    tooltip="The frames, RGB; black where edges are transparent.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="Where characters are in each frame. White = character.",
                ),
                io.Mask.Output(
                    display_name="edges",
                    tooltip=(
                        "Black where the picture's edge came into view and edges are transparent. "
                        "White = background or character."
                    ),
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
        depth: Tensor | None = None,
        background: Tensor | None = None,
        output: str = ALL,
        **values: Any,
    ) -> io.NodeOutput:
        from ..toonout_core.motion.ken_burns import ken_burns

        options = options_of(KenBurnsOptions, values)
        host = ComfyHost()
        picture, found, colours = characters_of(image, instances, mask, host)
        frames = ken_burns(
            picture, found, colours, options,
            depth=_depth(depth), plate=plate_of(background, picture),
        )  # fmt: skip
        made = clip_result(host, frames, options.frames, options.fps, output)
        return io.NodeOutput(made["images"], made["masks"], made["alphas"], *made["video"])


def _depth(depth: Tensor | None) -> Tensor | None:
    """IMAGE or MASK → B×1×h×w, as it is: what it should be is told by whoever reads it."""
    if depth is None:
        return None
    if depth.ndim == 4:
        return from_comfy(depth)[0][:, :1]
    return depth[:, None].float() if depth.ndim == 3 else mask_from_comfy(depth)
