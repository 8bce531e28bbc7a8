"""Compose over Background."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import from_comfy, mask_from_comfy, to_comfy
from ..toonout_core.ops.compositing import over
from ..toonout_core.ops.placing import BackgroundFit, behind
from ..toonout_core.options import cutout
from .batches import check_size, matched
from .types import CATEGORY, Node, schema, widgets


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
                *widgets(cutout.COLOUR, cutout.COMPOSE_FIT),
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
        back, own = (None, None) if background is None else from_comfy(background)
        below = behind(picture, colour, back, own, fit)
        top, alpha, below = matched(foreground=picture, mask=alpha, background=below)
        assert top is not None and below is not None
        return io.NodeOutput(to_comfy(top if alpha is None else over(top, alpha, below)))
