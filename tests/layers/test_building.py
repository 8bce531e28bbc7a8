from __future__ import annotations

import torch

from toonout_core.instances import Instances
from toonout_core.layers.building import character_layers
from toonout_core.ops.compositing import over

SIZE = 40


def two_characters() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Picture, plate, colours of both, and the two parts of their matte with a soft seam."""
    draw = torch.Generator().manual_seed(2)
    plate = torch.rand(1, 3, 1, 1, generator=draw).expand(1, 3, SIZE, SIZE).clone()
    colours = torch.rand(1, 3, SIZE, SIZE, generator=draw)
    whole = torch.zeros(SIZE, SIZE)
    whole[8:36, 6:34] = 1
    whole[8, 6:34] = 0.4
    seam = ((torch.arange(SIZE) - 17) / 6).clamp(0, 1).expand(SIZE, SIZE)
    parts = torch.stack((whole * (1 - seam), whole * seam))
    parts[0, 34:] = 0  # the right one stands nearer
    picture = over(colours, parts.sum(0)[None, None], plate)
    return picture, plate, colours, parts


def test_layers_show_the_picture_again():
    picture, plate, colours, parts = two_characters()
    layered = character_layers(picture, Instances.from_masks(parts), colours, plate)
    assert [layer.name for layer in layered.layers] == [
        "picture", "background", "character 0", "character 1",
    ]  # fmt: skip
    assert [layer.visible for layer in layered.layers] == [False, True, True, True]
    shown, alpha = layered.flat()
    assert bool((alpha == 1).all())
    assert (shown - picture).abs().max() < 2.5 / 255


def test_without_a_plate_the_background_is_painted_over():
    picture, plate, colours, parts = two_characters()
    layered = character_layers(picture, Instances.from_masks(parts), colours)
    assert (layered.layers[1].image - plate.mul(255).round()).abs().max() <= 4


def test_tags_become_names_and_nobody_gives_two_layers():
    picture, plate, colours, parts = two_characters()
    named = Instances.from_masks(parts, tags=["Eileen", ""])
    layered = character_layers(picture, named, colours, plate)
    assert [layer.name for layer in layered.layers[2:]] == ["Eileen", "character 1"]
    none = character_layers(picture, Instances.none((SIZE, SIZE)), colours, plate)
    assert len(none.layers) == 2
