"""Characters from Masks."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import Instances
from ..toonout_core.characters.choosing import separate, tidy
from ..toonout_core.chosen import tidy_options
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import mask_from_comfy
from ..toonout_core.options import characters as options
from . import given, made
from .found import found_result, shown_with
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class InstancesFromMasks(Node):
    """Masks of any node → characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_InstancesFromMasks",
            display_name="Characters from Masks (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Makes characters of masks from anywhere: SAM, a painted mask, another detector. A "
                "batch or a list, all of one picture; or one mask, taken apart into its regions."
            ),
            search_aliases=["mask to segs", "mask list", "connected components", "split mask"],
            is_input_list=True,
            inputs=[
                *inputs(given.MASKS, given.FOR_PREVIEW),
                *widgets(options.SPLIT, options.GIVEN_DUPLICATES, options.GIVEN_LEAST_AREA),
                *widgets(options.CHOSEN_ORDER),
            ],
            outputs=outputs(*made.FOUND),
        )

    @classmethod
    def execute(
        cls, masks: list[Tensor], image: list[Tensor] | None = None, **chosen: list[Any]
    ) -> io.NodeOutput:
        planes = joined_masks(masks)
        values = {name: value[0] for name, value in chosen.items()}
        split = values["split"] == "connected regions"
        found = separate(planes) if split else Instances.from_masks(planes)
        frames = (tidy(found, tidy_options(values)),)
        first = None if image is None else image[0][:1]
        return io.NodeOutput(*found_result(*shown_with(first, frames)))


def joined_masks(masks: list[Tensor]) -> Tensor:
    """Batches of masks of one picture → N×H×W."""
    planes = [mask_from_comfy(mask)[:, 0].cpu() for mask in masks]
    sizes = {tuple(plane.shape[-2:]) for plane in planes}
    if len(sizes) > 1:
        raise BadInput(
            "masks must be of one picture and have one size",
            " and ".join(f"{width}×{height}" for height, width in sorted(sizes)),
            "Resize them first.",
        )
    return torch.cat(planes)
