"""Compose over Background."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import from_comfy, mask_from_comfy, to_comfy
from ..toonout_core.ops.compositing import over, parse_colour
from ..toonout_core.ops.placing import BackgroundFit, fit_background
from .batches import check_size, matched
from .types import CATEGORY, Node, schema, widget


class Compose(Node):
    """Foreground and mask over a picture or a colour."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_Compose",
            display_name="Compose over Background (ToonOut)",
            category=CATEGORY,
            description=(
                "Lays a cutout over a picture or a plain colour. The result is opaque, so that "
                "VAE Encode and video nodes see exactly what you see."
            ),
            search_aliases=["composite", "paste", "replace background", "green screen"],
            inputs=[
                io.Image.Input(
                    "foreground",
                    tooltip="cutout or foreground of Cut Out Character; not the original picture.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White = character. Without it the cutout's own alpha is used.",
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="Picture behind the character, of any size. Without it: the colour.",
                ),
                widget(
                    io.String,
                    "colour",
                    default="#00ff00",
                    tooltip="#rrggbb or a name such as white; used where no background picture is.",
                ),
                widget(
                    io.Combo,
                    "fit",
                    options=["cover", "contain", "stretch"],
                    default="cover",
                    tooltip=(
                        "How the background gets the character's size. cover: cut what sticks "
                        "out. contain: all of it, with bars of the colour. stretch: bend it."
                    ),
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="RGB, opaque.")],
        )

    @classmethod
    def execute(
        cls,
        foreground: Tensor,
        colour: str,
        fit: BackgroundFit,
        mask: Tensor | None = None,
        background: Tensor | None = None,
    ) -> io.NodeOutput:
        picture, alpha = from_comfy(foreground)
        if mask is not None:
            alpha = mask_from_comfy(mask)
            check_size(alpha, picture)
        size_hw = (int(picture.shape[-2]), int(picture.shape[-1]))
        behind = parse_colour(colour).to(picture).expand(1, 3, *size_hw)
        if background is not None:
            back, own = from_comfy(background)
            if own is not None:  # where it is transparent itself, its colours mean nothing
                back = over(back, own, parse_colour(colour))
            behind = fit_background(back, size_hw, fit, behind)
        top, alpha, behind = matched(foreground=picture, mask=alpha, background=behind)
        assert top is not None and behind is not None
        return io.NodeOutput(to_comfy(top if alpha is None else over(top, alpha, behind)))
