"""Crop Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.crops import crop_frames
from ..toonout_core.chosen import crop_options
from ..toonout_core.imaging import from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.options import characters as options
from . import given, made
from .found import as_frames, matched_frames
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


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
                *inputs(given.SEARCHED_IMAGE, given.INSTANCES),
                *widgets(options.PADDING, options.PADDING_PERCENT, options.MULTIPLE_OF),
                *widgets(options.SCALE, options.CROP_RESOLUTION, options.CROP_GROW),
                *widgets(options.CROP_BACKGROUND),
            ],
            outputs=outputs(*made.CROPS),
        )

    @classmethod
    def execute(cls, image: Tensor, instances: Any, **chosen: Any) -> io.NodeOutput:
        picture, frames = matched_frames(from_comfy(image)[0], as_frames(instances))
        crops = crop_frames(picture, frames, crop_options(chosen))
        return io.NodeOutput(
            [to_comfy(crop.picture) for crop in crops],
            [mask_to_comfy(crop.mask) for crop in crops],
            [crop.region for crop in crops],
            len(crops),
        )
