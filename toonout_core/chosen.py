"""From what a user chose, by the names of the options, to the records that the core works with.

Every host calls these with what its widgets, routes or command line gave. Options that are absent
have the record's default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .characters.choosing import Choice, TidyOptions
from .characters.crops import CropOptions
from .characters.prompts import PromptOptions
from .flow import ForegroundOptions
from .ops.adjust import AdjustOptions
from .ops.framing import Framing, parse_aspect
from .options.characters import AS_THEY_ARE, MAX_COUNT
from .segmentation.asking import SegmentOptions
from .segmentation.fusion import FusionOptions
from .segmentation.sharing import ShareOptions
from .words import PatchOrder

Values = Mapping[str, Any]

PATCH_ORDERS: dict[str, PatchOrder | None] = {
    "auto": None,
    "new": "channel_first",
    "old": "channel_last",
}
_SEEN = 100  # characters that are found at least, so that the best are chosen among tidy ones


def loading_options(values: Values) -> dict[str, Any]:
    """Read what `load_matting` and `load_segmenter` are told alike. `fast` changes "auto" only."""
    precision = values.get("precision", "auto")
    if values.get("fast", False) and precision == "auto":
        precision = "fast"
    return {"precision": precision, "download": values.get("allow_download", True)}


def matting_options(values: Values) -> dict[str, Any]:
    """Read what `load_matting` is told."""
    return {
        **loading_options(values),
        "resolution": values.get("resolution") or None,
        "patch_order": PATCH_ORDERS[values.get("patch_order", "auto")],
    }


def adjust_options(values: Values) -> AdjustOptions:
    """Read levels, gamma, holes, specks, edges and which side is kept."""
    same = ("gamma", "drop_specks_px", "fill_holes_px", "grow_px", "feather_px", "invert")
    names = {"black": "black_point", "white": "white_point", **{name: name for name in same}}
    return AdjustOptions(**_some(values, names))


def foreground_options(values: Values) -> ForegroundOptions | None:
    """Read how colours are estimated; None if they are to stay as they are."""
    if not values.get("clean_colours", True):
        return None
    names = {"method": "foreground_method", "radius_px": "radius_px"}
    return ForegroundOptions(**_some(values, {**names, "refine_radius_px": "refine_radius_px"}))


def framing_options(values: Values) -> Framing | None:
    """How a result is cut to its character; None if it keeps the picture's size."""
    if not values.get("crop", False):
        return None
    return Framing(values.get("margin_px", 0), aspect=parse_aspect(values.get("aspect", "")))


def segment_options(values: Values) -> SegmentOptions:
    """Read what counts as a character, and how masks are made."""
    given = _some(values, {"min_score": "min_score", "soft": "soft", "area": "refine_area"})
    if "max_count" in values:
        given["limit"] = max(_SEEN, values["max_count"] or int(MAX_COUNT.most))
    if "min_area_percent" in values:
        given["min_area"] = values["min_area_percent"] / 100
    return SegmentOptions(side_px=values.get("resolution") or None, **given)


def tidy_options(values: Values) -> TidyOptions:
    """Read what is done to characters that were found."""
    given = _some(values, {"drop_duplicates": "drop_duplicates", "limit": "max_count"})
    return TidyOptions(
        adjust=adjust_options(values),
        min_area=values.get("min_area_percent", 0) / 100,
        order=_order(values),
        **given,
    )


def choice_of(values: Values) -> Choice:
    """Read which characters are meant; points, boxes and areas come from elsewhere."""
    given = _some(values, {"min_score": "min_score", "reverse": "reverse", "limit": "max_count"})
    return Choice(
        numbers=values.get("numbers", ""),
        min_area=values.get("min_area_percent", 0) / 100,
        max_area=values.get("max_area_percent", 100) / 100,
        order=_order(values),
        **given,
    )


def share_options(values: Values) -> ShareOptions:
    """Read how a matte is shared out."""
    return ShareOptions(
        uncertain_px=values.get("uncertain_px") or None,
        reach_px=values.get("reach_px") or math.inf,
        trust_masks=values.get("trust_masks", False),
    )


def fusion_options(values: Values) -> FusionOptions:
    """Read how segments are given to characters."""
    names = {"min_vote": "threshold", "per_instance": "per_character", "vote": "vote"}
    same = ("radius_px", "erosions", "dilations")
    return FusionOptions(**_some(values, {**names, **{name: name for name in same}}))


def crop_options(values: Values) -> CropOptions:
    """Read what crops show."""
    given = _some(values, {"padding_px": "padding_px", "grow_px": "grow_px"})
    scale = values.get("scale", "keep")
    return CropOptions(
        padding=values.get("padding_percent", 0) / 100,
        multiple_of=int(values.get("multiple_of", 64)),  # a text in older graphs
        scale="none" if scale == "keep" else scale,
        resolution_px=values.get("resolution", 1024),
        background=values.get("background", False),
        **given,
    )


def prompt_options(values: Values) -> PromptOptions:
    """Read how prompts are put together."""
    names = {"style_position": "style_position", "background": "background"}
    given = _some(values, {**names, "keep_characters": "character_tags"})
    if "drop_tags" in values:
        given["drop"] = tuple(tag for tag in values["drop_tags"].split(",") if tag.strip())
    return PromptOptions(**given)


def _some(values: Values, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields by their options, of those that were given."""
    return {field: values[name] for field, name in names.items() if name in values}


def _order(values: Values) -> Any:
    order = values.get("sort_by", AS_THEY_ARE)
    return None if order == AS_THEY_ARE else order
