"""Crop Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.crops import CropOptions, crop_frames
from ..toonout_core.imaging import from_comfy, mask_to_comfy, to_comfy
from .found import as_frames, matched_frames
from .types import CATEGORY, CropLink, InstancesLink, Node, schema, widget

SCALES = {"keep": "none", "longer side": "longer side", "area": "area"}


class CropInstances(Node):
    """Picture and characters → lists of crops, masks and regions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_CropInstances",
            display_name="Crop Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Cuts every character out with some surroundings. All outputs are lists in the "
                "same order, so that one VAE Encode and one KSampler run once for each; Paste "
                "Characters puts the results back."
            ),
            search_aliases=["inpaint crop", "crop and stitch", "detailer", "per character"],
            inputs=[
                io.Image.Input("image", tooltip="The picture in which they were found."),
                InstancesLink.Input("instances", tooltip="From any node that gives characters."),
                widget(
                    io.Int,
                    "padding_px",
                    default=32,
                    min=0,
                    max=2048,
                    tooltip="Surroundings that are shown on every side, in pixels.",
                ),
                widget(
                    io.Int,
                    "padding_percent",
                    default=0,
                    min=0,
                    max=200,
                    tooltip="More surroundings, in percent of the character's longer side.",
                ),
                widget(
                    io.Combo,
                    "multiple_of",
                    options=["8", "16", "32", "64"],
                    default="64",
                    tooltip=(
                        "Both sides of a crop are multiples of it. 8 is the least that VAE Encode "
                        "takes without cutting; 64 suits every model."
                    ),
                ),
                widget(
                    io.Combo,
                    "scale",
                    options=list(SCALES),
                    default="keep",
                    tooltip=(
                        "keep: as large as in the picture. longer side: scaled until that side is "
                        "resolution. area: scaled until the area is resolution x resolution, what "
                        "SDXL likes."
                    ),
                ),
                widget(
                    io.Int,
                    "resolution",
                    default=1024,
                    min=64,
                    max=8192,
                    step=8,
                    tooltip="What crops are scaled to, unless scale is keep. SD 1.5: 512 to 768.",
                ),
                widget(
                    io.Float,
                    "grow_px",
                    default=8.0,
                    min=0.0,
                    max=200.0,
                    step=0.5,
                    tooltip=(
                        "Grows the masks, so that the edge is repainted too and Paste Characters "
                        "has room to fade. 0 for exact mattes."
                    ),
                ),
                widget(
                    io.Boolean,
                    "background",
                    default=False,
                    tooltip=(
                        "One more item after the characters: the whole picture, with a mask of "
                        "what belongs to none of them."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="crops",
                    is_output_list=True,
                    tooltip="RGB, one for each character.",
                ),
                io.Mask.Output(
                    display_name="masks",
                    is_output_list=True,
                    tooltip=(
                        "Of the same size as the crop. White = character, what is to be repainted."
                    ),
                ),
                CropLink.Output(
                    display_name="regions",
                    is_output_list=True,
                    tooltip="Where each crop belongs: for Paste Characters and Join Prompts.",
                ),
                io.Int.Output(display_name="count", tooltip="How many crops."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        instances: Any,
        padding_px: int,
        padding_percent: int,
        multiple_of: str,
        scale: Any,
        resolution: int,
        grow_px: float,
        background: bool,
    ) -> io.NodeOutput:
        options = CropOptions(
            padding_px=padding_px,
            padding=padding_percent / 100,
            multiple_of=int(multiple_of),
            scale=SCALES[scale],  # pyright: ignore[reportArgumentType]
            resolution_px=resolution,
            grow_px=grow_px,
            background=background,
        )
        picture, frames = matched_frames(from_comfy(image)[0], as_frames(instances))
        crops = crop_frames(picture, frames, options)
        return io.NodeOutput(
            [to_comfy(crop.picture) for crop in crops],
            [mask_to_comfy(crop.mask) for crop in crops],
            [crop.region for crop in crops],
            len(crops),
        )
