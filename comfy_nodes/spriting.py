"""Sprite Sheet."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..toonout_core.imaging import Metadata, from_comfy, mask_from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.layers.sprite_files import publish_sheet
from ..toonout_core.layers.sprites import SheetOptions, aseprite_json, sprite_sheet
from ..toonout_core.options import layers as options
from ..toonout_core.output.animations import AnimationOptions, Frame, write_animation
from ..toonout_core.output.publishing import partial_file, publish_numbered
from ..toonout_core.output.writing import write_checked
from .batches import check_size, matched
from .saving import Place, workflow_text
from .types import CATEGORY, Node, schema, widgets


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
                io.Image.Input(
                    "image",
                    tooltip="Frames: cutout (RGBA), or foreground (RGB) together with the mask.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "White = character. Takes the place of alpha that the frames already have."
                    ),
                ),
                *widgets(*options.SHEET),
                *widgets(options.FPS, options.SPRITES_PREFIX, options.ANIMATION),
            ],
            outputs=[
                io.Image.Output(
                    display_name="sheet", tooltip="RGB, black where nothing is; goes with the mask."
                ),
                io.Mask.Output(
                    display_name="mask (white = character)",
                    tooltip="Of the sheet. White = character.",
                ),
                io.String.Output(
                    display_name="list", tooltip="The list of the frames, as JSON text."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        columns: int,
        trim: bool,
        padding_px: int,
        power_of_two: bool,
        pivot: str,
        fps: float,
        filename_prefix: str,
        animation: Any,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        wanted = SheetOptions(columns, trim, padding_px, power_of_two, pivot)
        colours, alpha = _planes(image, mask)
        sheet = sprite_sheet(colours, alpha, wanted)
        durations = [1000 / fps] * len(colours)
        metadata = Metadata(text=workflow_text(cls.hidden))
        place = Place(filename_prefix, None, "", sheet.image)

        def names(number: int) -> list[Path]:
            (path,) = place.names(0)(number)
            return [path.with_name(path.name + ending) for ending in (".png", ".json")]

        picture, _ = publish_sheet(sheet, durations, place.folder, names, metadata)
        saved = [picture]
        if animation != options.ANIMATION.default:
            kind = AnimationOptions(animation, metadata=metadata)
            saved.append(_save_moving(colours, alpha, fps, kind, picture))
        results = [ui.SavedResult(p.name, place.subfolder, io.FolderType.output) for p in saved]
        text = json.dumps(aseprite_json(sheet, picture.name, durations), indent=1)
        return io.NodeOutput(
            to_comfy(sheet.image), mask_to_comfy(sheet.alpha), text, ui=ui.SavedImages(results)
        )


def _planes(image: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Colours and alpha of equally many frames."""
    picture, own = from_comfy(image)
    alpha = own if mask is None else mask_from_comfy(mask)
    if alpha is None:
        alpha = picture.new_ones((1, 1, *picture.shape[-2:]))
    check_size(alpha, picture)
    colours, alpha = matched(image=picture, mask=alpha)
    assert colours is not None
    assert alpha is not None
    return colours, alpha


def _save_moving(
    colours: Tensor, alpha: Tensor, fps: float, options: AnimationOptions, sheet: Path
) -> Path:
    """The frames as a file beside the sheet."""
    frames = (
        Frame(image * (own > 0), own, 1 / fps)
        for image, own in zip(colours.split(1), alpha.split(1), strict=True)
    )
    with partial_file(sheet.parent) as unfinished:
        write_checked(unfinished, partial(write_animation, frames=frames, options=options))

        def names(number: int) -> list[Path]:
            counted = "" if number == 1 else f"_{number}"
            return [sheet.with_name(f"{sheet.stem}anim{counted}.{options.format}")]

        return publish_numbered([unfinished], names)[0]
