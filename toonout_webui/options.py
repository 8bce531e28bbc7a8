"""Everything that can be chosen about a cutout: names, defaults and limits, once.

The names and defaults are those of the ComfyUI nodes. Widgets, the API, infotexts and the axes of
the X/Y/Z plot follow from this record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from ..toonout_core import BadInput, Fit
from ..toonout_core.ops.foreground import Method
from ..toonout_core.ops.framing import parse_aspect

Output = Literal["cutout", "mask", "cutout + mask"]
Background = Literal["transparent", "colour", "picture"]
BackgroundFit = Literal["cover", "contain", "stretch"]
SourceAlpha = Literal["multiply", "ignore"]
Precision = Literal["auto", "fp32", "fp16", "bf16"]
PatchOrder = Literal["auto", "new", "old"]
Group = Literal["main", "edge", "matte", "background", "crop", "model"]

DEFAULT_MODEL = "toonout-mini"


@dataclass(frozen=True)
class Shown:
    """How an option appears, and what it may be."""

    label: str
    info: str
    group: Group
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    step: float = 0.0


def _chosen(default: str, choices: Any, label: str, group: Group, info: str) -> Any:
    return field(default=default, metadata={"shown": Shown(label, info, group, get_args(choices))})


def _text(default: str, label: str, group: Group, info: str) -> Any:
    return field(default=default, metadata={"shown": Shown(label, info, group)})


def _switch(default: bool, label: str, group: Group, info: str) -> Any:
    return field(default=default, metadata={"shown": Shown(label, info, group)})


def _number(
    default: float, limits: tuple[float, float, float], label: str, group: Group, info: str
) -> Any:
    least, most, step = limits
    shown = Shown(label, info, group, least=least, most=most, step=step)
    return field(default=default, metadata={"shown": shown})


@dataclass(frozen=True)
class CutoutOptions:
    """One wish; `CutoutOptions.of` makes it from what a user gave and checks it."""

    model: str = _text(
        DEFAULT_MODEL, "Model", "main",
        "toonout-mini comes with the extension; the others are downloaded on first use.",
    )  # fmt: skip
    output: Output = _chosen(
        "cutout", Output, "Output", "main", "White in the mask is the character."
    )
    resolution: int = _number(
        0, (0, 4096, 32), "Resolution", "main",
        "Side of the square that the network sees. 0: what the model was trained with.",
    )  # fmt: skip
    fit: Fit = _chosen(
        "auto", Fit, "Fit", "edge",
        "auto: as the model was trained. pad: keeps the aspect, for very wide or tall pictures.",
    )  # fmt: skip
    clean_colours: bool = _switch(
        True, "Clean colours", "edge",
        "Takes the old background's colour out of soft edges. Off: faster.",
    )  # fmt: skip
    radius_px: int = _number(
        90, (1, 1000, 1), "Radius (px)", "edge",
        "How far colours travel into a soft edge in the first pass.",
    )  # fmt: skip
    refine_radius_px: int = _number(
        6, (0, 1000, 1), "Refine radius (px)", "edge",
        "Window of the second pass, which keeps fine detail. 0: one pass only.",
    )  # fmt: skip
    foreground_method: Method = _chosen(
        "inversion", Method, "Method of the colours", "edge",
        "inversion: also looks at the old background beside the edge. blur-fusion: as published.",
    )  # fmt: skip
    source_alpha: SourceAlpha = _chosen(
        "multiply", SourceAlpha, "Alpha that is there already", "edge",
        "multiply keeps transparent parts transparent.",
    )  # fmt: skip
    black_point: float = _number(
        0.0, (0.0, 0.99, 0.01), "Black point", "matte", "What is darker becomes transparent."
    )
    white_point: float = _number(
        1.0, (0.01, 1.0, 0.01), "White point", "matte", "What is lighter becomes opaque."
    )
    gamma: float = _number(
        1.0, (0.1, 10.0, 0.05), "Gamma", "matte", "Above 1 soft edges become fuller."
    )
    grow_px: float = _number(0.0, (-100.0, 100.0, 0.25), "Grow (px)", "matte", "Negative: shrink.")
    feather_px: float = _number(
        0.0, (0.0, 200.0, 0.25), "Feather (px)", "matte", "Softens the edge."
    )
    fill_holes_px: int = _number(
        0, (0, 100_000_000, 1), "Fill holes (px²)", "matte", "Holes of at most that many pixels."
    )
    drop_specks_px: int = _number(
        0, (0, 100_000_000, 1), "Drop specks (px²)", "matte", "Specks of at most that many pixels."
    )
    background: Background = _chosen(
        "transparent", Background, "Background", "background", "What the character stands on."
    )
    colour: str = _text("#00ff00", "Colour", "background", "#rrggbb or a name such as white.")
    background_fit: BackgroundFit = _chosen(
        "cover", BackgroundFit, "Fit of the background", "background",
        "contain leaves bars of the colour.",
    )  # fmt: skip
    crop: bool = _switch(False, "Crop to the subject", "crop", "Cuts off what is empty.")
    margin_px: int = _number(
        0, (0, 4096, 1), "Margin (px)", "crop", "What is left around the subject, if there is room."
    )
    aspect: str = _text(
        "", "Aspect of the crop", "crop",
        "Width and height, as 1/1 or 3/4: the crop is made wider or taller for it. Empty: any.",
    )  # fmt: skip
    precision: Precision = _chosen(
        "auto", Precision, "Precision", "model", "auto: fp16 where the device is good at it."
    )
    patch_order: PatchOrder = _chosen(
        "auto", PatchOrder, "Patch order", "model",
        "Only for BiRefNet files of your own; a wrong order spoils mattes silently.",
    )  # fmt: skip
    allow_download: bool = _switch(
        True, "Allow download", "model", "Off: a model that is not there is an error."
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CutoutOptions:
        """Checked values; those that are absent or None are the defaults. Raises BadInput."""
        unknown = sorted(set(values) - {option.name for option in fields(cls)})
        if unknown:
            names = ", ".join(option.name for option in fields(cls))
            raise BadInput(f"an option must be one of {names}", ", ".join(unknown))
        given = {name: value for name, value in values.items() if value is not None}
        options = cls(**{o.name: checked(o, given[o.name]) for o in fields(cls) if o.name in given})
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
        values = {option.name: getattr(self, option.name) for option in fields(self)}
        return {o.name: values[o.name] for o in fields(self) if values[o.name] != o.default}

    def sentence(self) -> str:
        """For infotexts, without the comma and the colon that separate entries there."""
        shown = {"model": self.model, "output": self.output} | self.changed()
        return "; ".join(f"{name}={value}" for name, value in shown.items())


def shown(option: Field[Any]) -> Shown:
    """How an option of CutoutOptions appears."""
    return option.metadata["shown"]


def checked(option: Field[Any], value: Any) -> Any:
    """The value in its right type and within its limits. Raises BadInput."""
    limits = shown(option)
    if isinstance(option.default, bool):
        return _checked_switch(option.name, value)
    if isinstance(option.default, str):
        return _checked_text(option.name, value, limits.choices)
    return _checked_number(option.name, value, limits, whole=isinstance(option.default, int))


def _checked_switch(name: str, value: Any) -> bool:
    words = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise BadInput(f"{name} must be true or false", repr(value))


def _checked_text(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a text", repr(value))
    if choices and value not in choices:
        raise BadInput(f"{name} must be one of {', '.join(choices)}", repr(value))
    return value


def _checked_number(name: str, value: Any, limits: Shown, *, whole: bool) -> float:
    expected = f"{name} must be {limits.least:g} … {limits.most:g}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadInput(expected, repr(value))
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise BadInput(expected, repr(value)) from None
    if not limits.least <= number <= limits.most:
        raise BadInput(expected, f"{value}")
    if whole and number != int(number):
        raise BadInput(f"{name} must be a whole number", f"{value}")
    return int(number) if whole else number
