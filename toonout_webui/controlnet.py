"""Preprocessors for ControlNet: the mask, the character on black, and a map of all characters.

Where ControlNet is there: as an extension of AUTOMATIC1111, or as a part of Forge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..toonout_core.characters.overlay import instance_colours
from ..toonout_core.imaging import Picture, from_array, to_array
from ..toonout_core.words import Array
from . import characters, hosts
from .cutting import cut, wish

Work = Callable[[Picture], Tensor]

TAG = "Segmentation"


def mask(picture: Picture) -> Tensor:
    """White is the character."""
    return cut(picture, wish({"clean_colours": False})).matte.alpha.expand(-1, 3, -1, -1)


def on_black(picture: Picture) -> Tensor:
    """The character, its surroundings black."""
    return cut(picture, wish({})).matte.composite("black")


def character_map(picture: Picture) -> Tensor:
    """A colour for each character, black elsewhere."""
    options = wish({"clean_colours": False})
    found = characters.find(picture, characters.DEFAULT_DETECTOR, options)
    shown = picture.image.new_zeros(picture.image.shape)
    for alpha, colour in zip(
        found.instances.masks, instance_colours(len(found)), strict=True
    ):  # fmt: skip
        shown = shown + alpha.to(shown) * colour.view(1, 3, 1, 1).to(shown)
    return shown.clamp(0, 1)


PREPROCESSORS: dict[str, Work] = {
    "toonout_mask": mask,
    "toonout_on_black": on_black,
    "toonout_characters": character_map,
}


def register(*_: Any) -> None:
    """Add ours to the list, again and again without harm."""
    found = hosts.controlnet()
    if found is None:
        return
    base, add = found
    for name, work in PREPROCESSORS.items():
        add(name, _make(base, name, work))


def _make(base: type[Any], name: str, work: Work) -> Any:
    """ControlNet's own base class has a name as argument in one host, none in the other."""

    class OfToonOut(base):
        def __call__(self, input_image: Array, resolution: int = 512, *_: Any, **__: Any) -> Array:
            rgb = from_array(input_image).narrow(1, 0, 3)
            return to_array(work(Picture(rgb)))[0]

        __hash__ = base.__hash__

    try:
        made = OfToonOut(name)
    except TypeError:
        made = OfToonOut()
    made.name = name
    made.tags = [TAG]
    made.model_filename_filters = ["seg"]
    return made
