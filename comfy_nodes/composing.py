"""Compose over Background."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..toonout_core.imaging import from_comfy, to_comfy
from ..toonout_core.ops.compositing import over
from ..toonout_core.ops.placing import BackgroundFit, behind
from ..toonout_core.options import cutout
from . import given, made
from .batches import colours_and_alpha, matched
from .types import CATEGORY, Node, inputs, outputs, schema, widget, widgets


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
                *inputs(given.TOP, given.TOP_MASK, given.BACKDROP),
                *widgets(cutout.COLOUR, cutout.COMPOSE_FIT),
                widget(cutout.MASK_IS_TRANSPARENCY, optional=True, advanced=True),
            ],
            outputs=outputs(made.COMPOSED),
        )

    @classmethod
    def execute(
        cls,
        foreground: Tensor,
        colour: str,
        fit: BackgroundFit,
        mask: Tensor | None = None,
        background: Tensor | None = None,
        mask_is_transparency: bool = False,
    ) -> io.NodeOutput:
        picture, alpha = colours_and_alpha(
            foreground, mask, name="foreground", is_transparency=mask_is_transparency
        )
        back, own = (None, None) if background is None else from_comfy(background)
        below = behind(picture, colour, back, own, fit)
        top, alpha, below = matched(foreground=picture, mask=alpha, background=below)
        assert top is not None and below is not None
        return io.NodeOutput(to_comfy(top if alpha is None else over(top, alpha, below)))
