"""Example Picture."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io, ui

from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import read, to_comfy
from ..toonout_core.options import files
from . import made
from .types import CATEGORY, Node, outputs, schema, widget

_ROOT = Path(__file__).parents[1]
_EXAMPLES = _ROOT / "examples"
PICTURES = {
    "girl on a broom": _EXAMPLES / "drawings" / "broom.webp",
    "boy with milk": _EXAMPLES / "drawings" / "milk.webp",
    "two characters": _EXAMPLES / "group.webp",
    "girl before a painting": _ROOT / "toonout_core" / "assets" / "example.webp",
    "meadow without characters": _EXAMPLES / "meadow.webp",
}


class ExamplePicture(Node):
    """Name → one of the pictures that come with this pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_ExamplePicture",
            display_name="Example Picture (ToonOut)",
            category=CATEGORY,
            description=(
                "Gives a drawing that comes with this pack, so that an example runs at once. For "
                "your own pictures put Load Image in its place."
            ),
            search_aliases=["sample", "demo", "test image"],
            inputs=[widget(files.EXAMPLE, options=list(PICTURES))],
            outputs=outputs(made.EXAMPLE),
        )

    @classmethod
    def execute(cls, picture: str) -> io.NodeOutput:
        path = PICTURES.get(picture)
        if path is None or not path.is_file():
            raise BadInput(
                "picture must be one of the examples that are here",
                repr(picture),
                "Choose another one, or install the pack again.",
            )
        image = to_comfy(read(path).image)
        return io.NodeOutput(image, ui=ui.PreviewImage(image))
