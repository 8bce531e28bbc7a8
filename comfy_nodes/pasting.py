"""Paste Characters."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.characters.crops import CropRegion
from ..toonout_core.characters.pasting import paste_crops
from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.options import characters as options
from .types import CATEGORY, CropLink, Node, schema, widgets


class PasteInstances(Node):
    """Lists of crops → one picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_PasteInstances",
            display_name="Paste Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Puts worked-over crops back into their picture, by their masks and with faded "
                "edges. What no mask covers stays as it was, bit for bit."
            ),
            search_aliases=["stitch", "uncrop", "inpaint stitch", "segs paste", "composite"],
            is_input_list=True,
            inputs=[
                io.Image.Input("image", tooltip="The picture that was cropped."),
                io.Image.Input(
                    "crops",
                    tooltip=(
                        "The worked-over crops, in their order: what VAE Decode gives. Several "
                        "versions of each (a batch) give several pictures."
                    ),
                ),
                CropLink.Input("regions", tooltip="From Crop Characters."),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip=(
                        "Other masks than those of Crop Characters, of the crops' size. "
                        "White = character, what is replaced."
                    ),
                ),
                *widgets(options.PASTE_FEATHER, options.ON_TOP),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", is_output_list=True, tooltip="The whole picture again."
                ),
                io.Mask.Output(
                    display_name="changed",
                    is_output_list=True,
                    tooltip="What was replaced. White = character or background that is new.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: list[Tensor],
        crops: list[Tensor],
        regions: list[CropRegion],
        feather_px: list[float],
        on_top: list[str],
        masks: list[Tensor] | None = None,
    ) -> io.NodeOutput:
        groups = _groups(regions)
        _check_counts(image, groups, crops, regions, masks)
        pictures: list[Tensor] = []
        changed: list[Tensor] = []
        for picture, numbers in zip(image, groups, strict=True):
            order = numbers if on_top[0] == "last" else numbers[::-1]
            result, touched = _pasted(
                picture,
                [crops[i] for i in order],
                [regions[i] for i in order],
                None if masks is None else [masks[i] for i in order],
                feather_px[0],
            )
            pictures.append(result)
            changed.append(touched)
        return io.NodeOutput(pictures, changed)


def _pasted(
    image: Tensor,
    crops: list[Tensor],
    regions: list[CropRegion],
    masks: list[Tensor] | None,
    feather_px: float,
) -> tuple[Tensor, Tensor]:
    """IMAGE and MASK of one picture, or of one batch."""
    picture, alpha = from_comfy(image)
    frames = max(region.frame for region in regions) + 1
    if len(picture) == 1:  # which was cropped by the instances of more frames
        picture = picture.expand(frames, -1, -1, -1)
    result, touched = paste_crops(
        picture,
        [from_comfy(crop)[0] for crop in crops],
        regions,
        None if masks is None else [mask_from_comfy(mask) for mask in masks],
        feather_px=feather_px,
    )
    if alpha is not None:
        opacity = alpha.expand(len(result), -1, -1, -1)
        result = torch.cat((result, opacity.to(result)), 1)
    return to_comfy(result), mask_to_comfy(touched)


def _groups(regions: list[CropRegion]) -> list[list[int]]:
    """Places in the list of the regions that were made together: those of one image."""
    groups: list[list[int]] = []
    for place, region in enumerate(regions):
        if region.index == 0 or not groups:
            groups.append([])
        groups[-1].append(place)
    return groups


def _check_counts(
    image: list[Tensor],
    groups: list[list[int]],
    crops: list[Tensor],
    regions: list[CropRegion],
    masks: list[Tensor] | None,
) -> None:
    counts = {"regions": len(regions), "crops": len(crops)}
    if masks is not None:
        counts["masks"] = len(masks)
    if len({*counts.values()}) > 1:
        raise BadInput(
            "there must be a crop (and a mask) for every region",
            " and ".join(f"{count} {name}" for name, count in counts.items()),
            "All must come from one Crop Characters, with nothing between that joins the list "
            "into a batch.",
        )
    if len(groups) != len(image):
        raise BadInput(
            "there must be one image for each run of Crop Characters",
            f"{len(image)} images and {len(groups)} runs",
            "Connect the same image here as there.",
        )
