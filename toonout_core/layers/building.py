"""From the characters of a picture to its layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances
from ..ops.compositing import stacked
from ..ops.plate import background_plate
from .record import LayeredPicture, trimmed, whole_layer

PICTURE, PLATE, CHARACTERS = "picture", "background", "characters"


def character_layers(
    image: Tensor,
    mattes: Instances,
    colours: Tensor,
    plate: Tensor | None = None,
    names: Sequence[str] | None = None,
) -> LayeredPicture:
    """One layer for each character, the background below them, the picture itself hidden lowest.

    `image` and `colours` 1×3×H×W (as given, and free of the old background), `mattes` their parts
    of one alpha, in the order of their numbers; `plate` 1×3×H×W, None: painted over by us. Whose
    feet stand lower is in front. Laid over one another the layers show the picture again.
    """
    if tuple(image.shape[-2:]) != mattes.size_hw or image.shape != colours.shape:
        raise BadInput(
            f"picture, colours and mattes must have one size, {tuple(image.shape[-2:])}",
            f"{tuple(colours.shape)} and {mattes.size_hw}",
        )
    parts = mattes.masks[:, None].to(torch.float32)
    behind = (
        background_plate(image, parts.sum(0, keepdim=True).clamp(0, 1)) if plate is None else plate
    )
    layers = [whole_layer(PICTURE, image, visible=False), whole_layer(PLATE, behind)]
    order = depth_order(mattes)
    texts = list(names or mattes.tags or [])
    alphas = stacked(parts[order]) if order else parts
    for index, alpha in zip(order, alphas, strict=True):
        name = texts[index] if index < len(texts) and texts[index] else f"character {index + 1}"
        layers.append(trimmed(whole_layer(name, colours, alpha[None], group=CHARACTERS)))
    return LayeredPicture(mattes.size_hw, tuple(layers))


def depth_order(mattes: Instances) -> list[int]:
    """Indices from the farthest to the nearest: by the feet, then by the area."""
    feet, areas = mattes.boxes_xyxy[:, 3].tolist(), mattes.areas_px.tolist()
    return sorted(range(len(mattes)), key=lambda i: (feet[i], areas[i]))
