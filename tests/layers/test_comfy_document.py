from __future__ import annotations

import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.layers.comfy_document import MOST_LAYERS, from_document, to_document
from toonout_core.layers.record import Layer, LayeredPicture


def picture(count: int = 3) -> LayeredPicture:
    draw = torch.Generator().manual_seed(4)
    layers = [
        Layer(
            f"layer {index}",
            torch.randint(0, 256, (1, 3, 6, 5), generator=draw, dtype=torch.uint8),
            torch.randint(0, 256, (1, 1, 6, 5), generator=draw, dtype=torch.uint8),
            index,
            -index,
            1 - index / (2 * count),
            index != 1,
        )
        for index in range(count)
    ]
    return LayeredPicture((10, 12), tuple(layers))


def test_a_document_comes_back_as_it_was():
    before = picture()
    after = from_document(to_document(before))
    assert after.size_hw == before.size_hw
    for old, new in zip(before.layers, after.layers, strict=True):
        assert torch.equal(old.image, new.image)
        assert torch.equal(old.alpha, new.alpha)
        assert (old.name, old.left_px, old.top_px, old.visible) == (
            new.name, new.left_px, new.top_px, new.visible,
        )  # fmt: skip


def test_masks_are_white_where_it_is_transparent():
    layer = Layer(
        "x",
        torch.zeros(1, 3, 2, 2, dtype=torch.uint8),
        torch.tensor([[[[255, 0], [0, 0]]]], dtype=torch.uint8),
    )
    entry = to_document(LayeredPicture((2, 2), (layer,)))["layers"][0]
    assert entry["mask"].tolist() == [[[0.0, 1.0], [1.0, 1.0]]]
    assert tuple(entry["image"].shape) == (1, 2, 2, 3)


def test_layers_lie_by_their_numbers_and_rgba_counts():
    document = to_document(picture(2))
    document["layers"].reverse()
    assert [layer.name for layer in from_document(document).layers] == ["layer 0", "layer 1"]
    rgba = {"image": torch.full((1, 2, 2, 4), 0.4), "z_index": 5}
    del document["canvas"]
    document["layers"].append(rgba)
    top = from_document(document).layers[-1]
    assert top.alpha.unique().tolist() == [102]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotation": 0.5}, "as it was drawn"),
        ({"w": 99}, "another size"),
        ({"image": None}, "of pixels"),
        ({"type": "text"}, "of pixels"),
    ],
)
def test_what_cannot_be_kept_is_refused(change, words):
    document = to_document(picture(1))
    document["layers"][0].update(change)
    with pytest.raises(BadInput, match=words):
        from_document(document)


def test_too_many_and_none():
    with pytest.raises(BadInput, match="at most 50"):
        to_document(picture(MOST_LAYERS + 1))
    with pytest.raises(BadInput, match="version 1"):
        from_document({"version": 2, "layers": [1]})
