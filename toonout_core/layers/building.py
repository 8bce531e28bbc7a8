"""Make the layers of a picture from its characters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances
from ..ops.compositing import stacked
from ..ops.morphology import dilate
from ..ops.plate import background_plate
from .record import Layer, LayeredPicture, trimmed, whole_layer

PICTURE, PLATE, CHARACTERS = "picture", "background", "characters"

_VISIBLE = 0.5 / 255  # alpha that is more than 0 in 8 bit
_RIM_PX = 2


def character_layers(
    image: Tensor,
    mattes: Instances,
    colours: Tensor,
    plate: Tensor | None = None,
    names: Sequence[str] | None = None,
    alpha: Tensor | None = None,
) -> LayeredPicture:
    """Make a layer for each character, the background below them, the picture itself hidden lowest.

    `image` and `colours` 1×3×H×W (as given, and free of the old background), `mattes` their parts
    of one alpha, in the order of their numbers, from 0; `plate` 1×3×H×W, or None to have it painted
    over. `alpha` 1×1×H×W: the picture's own, None if it is opaque. A character whose feet stand
    lower is in front. Laid over one another the layers show the picture again, as far as mattes and
    background are right.
    """
    check_sizes(image, mattes, colours, plate)
    parts = mattes.masks[:, None].to("cpu", torch.float32)
    covered = parts.sum(0, keepdim=True).clamp(0, 1)
    layers = [whole_layer(PICTURE, image, alpha, visible=False)]
    seen = None if alpha is None else _seen_behind(alpha, covered)
    if seen is None or bool((seen > _VISIBLE).any()):
        behind = background_plate(image, covered) if plate is None else plate
        layers.append(whole_layer(PLATE, behind, seen))
    order = depth_order(mattes)
    texts = list(names or mattes.tags or [])
    alphas = stacked(parts[order]) if order else parts
    for index, own in zip(order, alphas[:, None], strict=True):
        name = texts[index] if index < len(texts) and texts[index] else f"character {index}"
        # nobody else is hidden under transparency; a rim is left for those who scale the layer
        visible = colours * dilate(own > _VISIBLE, _RIM_PX)
        layers.append(trimmed(whole_layer(name, visible, own, group=CHARACTERS)))
    return LayeredPicture(mattes.size_hw, tuple(layers))


def card_layers(
    cards: Sequence[tuple[Tensor, Tensor | None]],
    names: Sequence[str] = (),
    *,
    below: LayeredPicture | None = None,
    size_hw: tuple[int, int] | None = None,
) -> LayeredPicture:
    """Make layers of pictures that are layers already, the lowest first, above those of `below`.

    `cards`: colours 1×3×h×w and straight alpha 1×1×h×w (None: opaque) of each, placed by their
    upper left corners. `size_hw` of the canvas: None takes that of `below`, else of the largest
    card.
    """
    layers: list[Layer] = []
    for index, (image, alpha) in enumerate(cards):
        name = names[index] if index < len(names) and names[index] else f"layer {index + 1}"
        layers.append(trimmed(whole_layer(name, image, alpha)))
    if below is not None:
        return LayeredPicture(below.size_hw, (*below.layers, *layers))
    largest = [max((int(image.shape[axis]) for image, _ in cards), default=0) for axis in (2, 3)]
    return LayeredPicture(size_hw or (largest[0], largest[1]), tuple(layers))


def _seen_behind(alpha: Tensor, covered: Tensor) -> Tensor:
    """Return the picture's own alpha without its characters, 1×1×H×W.

    Behind them it goes on as it is around them: nothing is behind the character of a cutout.
    """
    return background_plate(alpha.expand(-1, 3, -1, -1), covered)[:, :1]


def check_sizes(image: Tensor, mattes: Instances, colours: Tensor, plate: Tensor | None) -> None:
    """Raise BadInput unless all have the picture's size."""
    if tuple(image.shape[-2:]) != mattes.size_hw or image.shape != colours.shape:
        raise BadInput(
            f"picture, colours and mattes must have one size, {tuple(image.shape[-2:])}",
            f"{tuple(colours.shape[-2:])} and {mattes.size_hw}",
            "Take them of the same picture.",
        )
    if plate is not None and plate.shape != image.shape:
        raise BadInput(
            f"the background must have the picture's size, {image.shape[-1]}×{image.shape[-2]}",
            f"{plate.shape[-1]}×{plate.shape[-2]}",
            "Make it of the same picture, or resize it.",
        )


def depth_order(mattes: Instances) -> list[int]:
    """Return indices from the farthest to the nearest: by the feet, then by the area."""
    feet, areas = mattes.boxes_xyxy[:, 3].tolist(), mattes.areas_px.tolist()
    return sorted(range(len(mattes)), key=lambda i: (feet[i], areas[i]))
