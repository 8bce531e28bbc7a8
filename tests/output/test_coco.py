"""Run lengths and annotations, there and back."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.instances import Instances
from toonout_core.output.coco import (
    dataset,
    decode_mask,
    encode_mask,
    from_annotations,
    pictures_of,
    to_annotations,
)


@st.composite
def masks(draw, count=1):
    """Noise, blocks, full and empty planes: runs short and long."""
    size_hw = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    coarse = torch.rand(count, 1, *(1 + side // 9 for side in size_hw), generator=generator)
    soft = torch.nn.functional.interpolate(coarse, size_hw, mode="nearest")[:, 0]
    noise = torch.rand(count, *size_hw, generator=generator) * draw(st.sampled_from((0, 0.2, 1)))
    return soft + noise > draw(st.sampled_from((-1, 0.3, 0.6, 0.9, 9)))


@given(masks(), st.booleans())
def test_masks_there_and_back(mask, compressed):
    rle = json.loads(json.dumps(encode_mask(mask[0], compressed=compressed)))
    assert torch.equal(decode_mask(rle), mask[0])
    assert rle["size"] == list(mask[0].shape)


@given(masks())
def test_the_same_as_another_program(mask):
    api = pytest.importorskip("faster_coco_eval.core.mask", reason="needs faster-coco-eval")
    import numpy as np

    theirs = api.encode(np.asfortranarray(mask[0].numpy().astype(np.uint8)))
    ours = encode_mask(mask[0])
    assert theirs["counts"] == ours["counts"].encode()
    assert torch.equal(decode_mask(theirs), mask[0])
    assert bool((torch.from_numpy(api.decode(ours)).bool() == mask[0]).all())


def test_a_mask_written_out():
    mask = torch.tensor([[0, 1, 1], [0, 1, 0]], dtype=torch.bool)
    assert encode_mask(mask, compressed=False) == {"size": [2, 3], "counts": [2, 3, 1]}
    assert encode_mask(mask)["counts"] == "231"
    assert encode_mask(~mask, compressed=False)["counts"] == [0, 2, 3, 1]
    assert encode_mask(mask.float() * 0.4, compressed=False)["counts"] == [6]


@given(masks(count=3), st.booleans(), st.integers(0, 3))
def test_instances_there_and_back(masks, tagged, count):
    generator = torch.Generator().manual_seed(5)
    found = Instances.from_masks(
        masks[:count],
        torch.rand(count, generator=generator),
        ["a girl, 1girl", "", "猫"][:count] if tagged and count else None,
    )
    annotations = json.loads(json.dumps(to_annotations(found)))
    again = from_annotations(annotations, found.size_hw)
    assert torch.equal(again.masks, found.masks)
    assert torch.equal(again.boxes_xyxy, found.boxes_xyxy)
    assert torch.equal(again.scores, found.scores)
    assert again.tags == found.tags
    areas = [annotation["area"] for annotation in annotations]
    assert areas == [int(mask.sum()) for mask in found.masks]


def test_a_data_set_counts_its_pictures_and_annotations():
    found = Instances.from_masks(torch.ones(2, 4, 6, dtype=torch.bool), torch.tensor([0.9, 0.25]))
    none = Instances.none((5, 5))
    document = dataset(
        [
            ("a.png", (4, 6), to_annotations(found)),
            ("sub/none.png", (5, 5), to_annotations(none)),
            ("b.png", (4, 6), to_annotations(found[:1])),
        ]
    )
    assert [image["id"] for image in document["images"]] == [1, 2, 3]
    assert [(a["id"], a["image_id"]) for a in document["annotations"]] == [(1, 1), (2, 1), (3, 3)]
    assert document["annotations"][1]["bbox"] == [0, 0, 6, 4]
    assert document["annotations"][0]["score"] == 0.9
    category = document["categories"][0]
    assert category["name"] == "character"
    assert {a["category_id"] for a in document["annotations"]} == {category["id"]}


@pytest.mark.parametrize(
    ("rle", "sentence"),
    [
        ({"size": [2, 3], "counts": [2, 3]}, "must fill 2×3 = 6 pixels, but got 5"),
        ({"size": [2, 3], "counts": [9, -3]}, "must fill 2×3"),
        ({"size": [2, 3], "counts": "2 1"}, "run lengths with size and counts"),
        ({"size": [2, 3], "counts": "23Q"}, "the middle of a number"),
        ({"size": [2, 3], "counts": "é"}, "run lengths with size and counts"),
        ({"counts": "231"}, "run lengths with size and counts"),
        ([[0, 0, 4, 0, 4, 4]], "polygons"),
    ],
)
def test_damaged_masks(rle, sentence):
    with pytest.raises(BadInput, match=sentence):
        decode_mask(rle)


def test_masks_of_another_size():
    annotation = {"bbox": [0, 0, 1, 1], "segmentation": {"size": [2, 2], "counts": [4]}}
    with pytest.raises(BadInput, match="3×3, but got 2×2"):
        from_annotations([annotation], (3, 3))
    with pytest.raises(BadInput, match="H×W"):
        encode_mask(torch.zeros(1, 2, 2))


def test_a_data_set_there_and_back():
    found = Instances.from_masks(torch.ones(2, 4, 6, dtype=torch.bool))
    pictures = [("a.png", (4, 6), to_annotations(found)), ("b.png", (5, 5), [])]
    assert pictures_of(json.loads(json.dumps(dataset(pictures)))) == pictures


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"images": []},
        {"images": [{"id": 1}], "annotations": []},
        {"images": [], "annotations": [{"id": 1, "image_id": 7}]},
        {"images": 5, "annotations": []},
    ],
)
def test_what_is_no_data_set(document):
    with pytest.raises(BadInput, match="must hold images and annotations"):
        pictures_of(document)
