"""Sprite Sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import Metadata, mask_to_comfy, to_comfy
from ..toonout_core.layers.sprite_files import aseprite_text, publish_sheet
from ..toonout_core.layers.sprites import SheetOptions, sprite_sheet
from ..toonout_core.options import layers as options
from ..toonout_core.output.animations import AnimationOptions, Frame, publish_animation
from . import given, made
from .batches import colours_and_alpha
from .saving import Place, workflow_text
from .types import CATEGORY, Node, inputs, outputs, schema, widgets


class SpriteSheet(Node):
    """Frames of a clip → one sheet, and a list of where each frame is."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_SpriteSheet",
            display_name="Sprite Sheet (ToonOut)",
            category=CATEGORY,
            description=(
                "Lays the frames of a clip out on one picture, cut to what is visible, and saves "
                "it with a list for game engines (Aseprite's JSON). On request also as an "
                "animated WebP, PNG or GIF with transparency."
            ),
            search_aliases=["spritesheet", "aseprite", "game", "apng", "animated webp", "gif"],
            is_output_node=True,
            inputs=[
                *inputs(given.SAVED_FRAMES, given.SAVED_FRAMES_MASK),
                *widgets(*options.SHEET),
                *widgets(options.FPS, options.SPRITES_PREFIX, options.ANIMATION),
            ],
            outputs=outputs(*made.SHEET),
        )

    @classmethod
    def execute(cls, image: Tensor, mask: Tensor | None = None, **chosen: Any) -> io.NodeOutput:
        colours, alpha = colours_and_alpha(image, mask)
        alpha = colours[:, :1] * 0 + 1 if alpha is None else alpha
        wanted = SheetOptions(*(chosen[option.name] for option in options.SHEET))
        sheet = sprite_sheet(colours, alpha, wanted)
        durations_ms = [1000 / chosen["fps"]] * len(colours)
        metadata = Metadata(text=workflow_text(cls.hidden))
        place = Place(chosen["filename_prefix"], None, "", sheet.image)
        saved = [publish_sheet(sheet, durations_ms, place.folder, _names(place), metadata)[0]]
        if chosen["animation"] != options.ANIMATION.default:
            how = AnimationOptions(chosen["animation"], metadata=metadata)
            moving = saved[0].with_name(f"{saved[0].stem}anim.{how.format}")
            frames = _visible(colours, alpha, 1 / chosen["fps"])
            saved.append(publish_animation(moving, frames, how))
        text = aseprite_text(sheet, saved[0].name, durations_ms)
        planes = to_comfy(sheet.image), mask_to_comfy(sheet.alpha)
        return io.NodeOutput(*planes, text, ui=place.told(*saved))


def _names(place: Place) -> Callable[[int], list[Path]]:
    """The sheet and its list."""

    def names(number: int) -> list[Path]:
        (path,) = place.names(0)(number)
        return [path.with_name(path.name + ending) for ending in (".png", ".json")]

    return names


def _visible(colours: Tensor, alpha: Tensor, seconds: float) -> Iterator[Frame]:
    """Frames without what is hidden under their transparent parts."""
    for image, own in zip(colours.split(1), alpha.split(1), strict=True):
        yield Frame(image * (own > 0), own, seconds)
