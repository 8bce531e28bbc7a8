"""Nodes of other packs that ours can stand in for, so that their graphs open here.

ComfyUI (0.14 and newer) replaces a node only where its own pack is not installed. Values are taken
by name; outputs by number. What we have no counterpart for keeps our default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy_api.latest as api
from comfy_api.latest import io

# how ComfyUI_BiRefNet_ll calls the models of our table
MODELS = {
    "General": "birefnet",
    "General-HR": "birefnet-hr",
    "Matting-HR": "birefnet-hr-matting",
    "General-Lite": "birefnet-lite",
    "General-Lite-2K": "birefnet-lite-2k",
    "General-reso_512": "birefnet-512",
    "Portrait": "birefnet-portrait",
    "Matting": "birefnet-matting",
    "Matting-Lite": "birefnet-lite-matting",
    "DIS": "birefnet-dis5k",
    "HRSOD": "birefnet-hrsod",
    "COD": "birefnet-cod",
    "DIS-TR_TEs": "birefnet-dis5k-tr-tes",
    "General-legacy": "birefnet-legacy",
    "General-dynamic": "birefnet-dynamic",
}
_CUTOUT, _MASK = 0, 2  # outputs of Cut Out Character
_IMAGE_AND_MASK = ((0, _CUTOUT), (1, _MASK))


@dataclass(frozen=True)
class Stand:
    """`widgets`: of the old node, in the order in which graphs store them; `inputs`: ours → the old
    one's; `values`: ours that the old node did not have; `outputs`: old → ours, by number."""

    old: str
    new: str
    widgets: tuple[str, ...]
    inputs: dict[str, str]
    values: dict[str, Any]
    outputs: tuple[tuple[int, int], ...]


_EDGES = {"feather_px": "mask_blur", "grow_px": "mask_offset", "invert": "invert_output"}
_RMBG = {"image": "image", **_EDGES, "clean_colours": "refine_foreground"}
_ENDING = ("mask_blur", "mask_offset", "invert_output", "refine_foreground", "background",
           "background_color")  # fmt: skip
_SIZE = ("width", "height", "upscale_method")
_BLUR = {"radius_px": "blur_size", "refine_radius_px": "blur_size_two"}
_CUT = {"model": "model", "image": "images"}

STANDS = (
    # ComfyUI-RMBG: its model is chosen in the node itself, ours is the built-in one until a loader
    # is connected
    Stand("RMBG", "ToonOut_Matte",
          ("model", "sensitivity", "process_res", "mask_blur", "mask_offset", "invert_output",
           "refine_foreground", "background", "background_color"),
          _RMBG, {}, _IMAGE_AND_MASK),
    Stand("BiRefNetRMBG", "ToonOut_Matte", ("model", *_ENDING), _RMBG, {}, _IMAGE_AND_MASK),
    # ComfyUI_BiRefNet_ll
    Stand("AutoDownloadBiRefNetModel", "ToonOut_LoadMatting", ("model_name", "device", "dtype"),
          {"model": "model_name"}, {}, ((0, 0),)),
    Stand("LoadRembgByBiRefNetModel", "ToonOut_LoadMatting",
          ("model", "device", "use_weight", "dtype"), {"model": "model"}, {}, ((0, 0),)),
    Stand("RembgByBiRefNet", "ToonOut_Matte", (), _CUT, {}, _IMAGE_AND_MASK),
    Stand("RembgByBiRefNetAdvanced", "ToonOut_Matte",
          (*_SIZE, "blur_size", "blur_size_two", "fill_color", "color", "mask_threshold"),
          {**_CUT, **_BLUR, "resolution": "width"}, {"foreground_method": "blur-fusion"},
          _IMAGE_AND_MASK),
    Stand("GetMaskByBiRefNet", "ToonOut_Matte", (*_SIZE, "mask_threshold"),
          {**_CUT, "resolution": "width"}, {"clean_colours": False}, ((0, _MASK),)),
    Stand("BlurFusionForegroundEstimation", "ToonOut_EstimateForeground",
          ("blur_size", "blur_size_two", "fill_color", "color"),
          {"image": "images", "mask": "masks", **_BLUR}, {"foreground_method": "blur-fusion"},
          _IMAGE_AND_MASK),
)  # fmt: skip


async def register_replacements(schemas: Sequence[Any]) -> None:
    """Tell ComfyUI of them; nothing happens in releases that cannot replace nodes. `schemas`: of
    all our nodes, whose defaults a graph in API format needs where nothing is taken over."""
    replace = getattr(io, "NodeReplace", None)
    registry = getattr(getattr(api, "ComfyAPI", None), "NodeReplacement", None)
    if replace is None or registry is None:
        return
    host, ours = api.ComfyAPI(), {schema.node_id: schema for schema in schemas}
    for stand in STANDS:
        inputs = [{"new_id": new, "old_id": old} for new, old in stand.inputs.items()]
        values = _needed(ours[stand.new]) | stand.values
        left = {new: value for new, value in values.items() if new not in stand.inputs}
        inputs += [{"new_id": new, "set_value": value} for new, value in left.items()]
        await host.node_replacement.register(
            replace(
                new_node_id=stand.new,
                old_node_id=stand.old,
                old_widget_ids=list(stand.widgets),
                input_mapping=inputs,
                output_mapping=[{"old_idx": old, "new_idx": new} for old, new in stand.outputs],
            )
        )


def _needed(schema: Any) -> dict[str, Any]:
    """Defaults of the widgets that a graph must have."""
    return {
        item.id: item.default
        for item in schema.inputs
        if not item.optional and getattr(item, "default", None) is not None
    }
