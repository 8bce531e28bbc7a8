"""Everything that can be chosen about a cutout, as one record of the options of the tables.

The names and defaults are those of the ComfyUI nodes. Widgets, the API, infotexts and the axes of
the X/Y/Z plot follow from this record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from ..errors import BadInput
from ..ops.foreground import Method
from ..ops.framing import parse_aspect
from ..ops.placing import BackgroundFit
from ..options import cutout as table
from ..options import models
from ..options.option import Option, options_of
from ..words import Fit, Precision

Output = Literal["cutout", "mask", "cutout + mask"]
Background = Literal["transparent", "colour", "picture"]
SourceAlpha = Literal["multiply", "ignore"]
OrderChoice = Literal["auto", "new", "old"]
Group = Literal["main", "edge", "matte", "background", "crop", "model"]


def _shown(option: Option, group: Group) -> Any:
    """A field for an option that stands in a group of the page."""
    return field(default=option.default, metadata={"option": option, "group": group})


@dataclass(frozen=True)
class CutoutOptions:
    """One wish; `CutoutOptions.of` makes it from what a user gave and checks it."""

    model: str = _shown(models.MODEL, "main")
    output: Output = _shown(table.RESULT, "main")
    resolution: int = _shown(models.RESOLUTION, "main")
    fit: Fit = _shown(table.FIT, "edge")
    detail: bool = _shown(table.DETAIL, "edge")
    clean_colours: bool = _shown(table.CLEAN_COLOURS, "edge")
    radius_px: int = _shown(table.RADIUS, "edge")
    refine_radius_px: int = _shown(table.REFINE_RADIUS, "edge")
    foreground_method: Method = _shown(table.FOREGROUND_METHOD, "edge")
    source_alpha: SourceAlpha = _shown(table.SOURCE_ALPHA, "edge")
    black_point: float = _shown(table.BLACK_POINT, "matte")
    white_point: float = _shown(table.WHITE_POINT, "matte")
    gamma: float = _shown(table.GAMMA, "matte")
    grow_px: float = _shown(table.GROW, "matte")
    feather_px: float = _shown(table.FEATHER, "matte")
    fill_holes_px: int = _shown(table.FILL_HOLES, "matte")
    drop_specks_px: int = _shown(table.DROP_SPECKS, "matte")
    invert: bool = _shown(table.INVERT, "matte")
    background: Background = _shown(table.BEHIND, "background")
    colour: str = _shown(table.COLOUR, "background")
    background_fit: BackgroundFit = _shown(table.BACKGROUND_FIT, "background")
    crop: bool = _shown(table.CROP, "crop")
    margin_px: int = _shown(table.MARGIN, "crop")
    aspect: str = _shown(table.CROP_ASPECT, "crop")
    precision: Precision = _shown(models.PRECISION, "model")
    patch_order: OrderChoice = _shown(models.PATCH_ORDER, "model")
    allow_download: bool = _shown(models.ALLOW_DOWNLOAD, "model")
    fast: bool = _shown(models.FAST, "model")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CutoutOptions:
        """Checked values; those that are absent or None are the defaults. Raises BadInput."""
        known = {option.name: option for option in options_of(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise BadInput(f"an option must be one of {', '.join(known)}", ", ".join(unknown))
        given = {name: value for name, value in values.items() if value is not None}
        options = cls(**{name: known[name].check(value) for name, value in given.items()})
        if not options.black_point < options.white_point:
            raise BadInput(
                "black_point must be below white_point",
                f"{options.black_point} and {options.white_point}",
            )
        parse_aspect(options.aspect)
        # an infotext cannot hold a colon
        return replace(options, aspect=options.aspect.replace(":", "/"))

    def changed(self) -> dict[str, Any]:
        """What differs from the defaults."""
        values = {option: getattr(self, option.name) for option in options_of(type(self))}
        return {o.name: value for o, value in values.items() if value != o.default}

    def sentence(self) -> str:
        """For infotexts, without the comma and the colon that separate entries there."""
        shown = {"model": self.model, "output": self.output} | self.changed()
        return "; ".join(f"{name}={value}" for name, value in shown.items())


OPTIONS: dict[str, Option] = {option.name: option for option in options_of(CutoutOptions)}


def options_in(group: Group) -> list[Option]:
    """The options of a group of the page, in their order."""
    return [OPTIONS[item.name] for item in fields(CutoutOptions) if item.metadata["group"] == group]
