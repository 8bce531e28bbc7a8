"""Paste Characters."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.crops import CropRegion
from ..toonout_core.characters.pasting import paste_runs
from ..toonout_core.imaging import from_comfy, mask_from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.options import characters as options
from . import given, made
from .batches import says_nothing
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class PasteInstances(Node):
    """Lists of crops → one picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_PasteInstances",
            display_name="Paste Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Puts changed crops back into their picture, by their masks and with faded "
                "edges. What no mask covers stays as it was, bit for bit."
            ),
            search_aliases=["stitch", "uncrop", "inpaint stitch", "segs paste", "composite"],
            is_input_list=True,
            inputs=[
                *inputs(given.CROPPED_IMAGE, given.WORKED_CROPS, given.REGIONS, given.CROP_MASKS),
                *widgets(options.PASTE_FEATHER, options.ON_TOP),
            ],
            outputs=outputs(*made.PASTED),
        )

    @classmethod
    def execute(
        cls,
        image: list[Tensor],
        crops: list[Tensor],
        regions: list[CropRegion],
        masks: list[Tensor] | None = None,
        **chosen: list[Any],
    ) -> io.NodeOutput:
        pieces = [from_comfy(crop)[0] for crop in crops]
        own = [mask_from_comfy(mask) for mask in masks or []]
        if all(says_nothing(mask, pieces[0]) for mask in own):
            own = None
        how = {name: value[0] for name, value in chosen.items()}
        pasted = paste_runs([from_comfy(one) for one in image], pieces, regions, own, **how)
        pictures = [to_comfy(picture) for picture, _ in pasted]
        return io.NodeOutput(pictures, [mask_to_comfy(changed) for _, changed in pasted])
