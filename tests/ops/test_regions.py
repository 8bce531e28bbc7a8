"""Connected regions, boxes, cutting out and putting back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.ops.regions import (
    boxes_from_masks,
    connected_components,
    crop,
    expand_box,
)

seeds = st.integers(0, 999)
sizes = st.tuples(st.integers(1, 20), st.integers(1, 20))


def mask_of(*rows):
    return torch.tensor([[letter == "#" for letter in row] for row in rows])


def random_mask(size_hw, seed, share=0.6):
    return torch.rand(size_hw, generator=torch.Generator().manual_seed(seed)) > share


def test_regions_by_edges_and_by_corners():
    mask = mask_of("##...", "..#..", "....#")
    assert len(connected_components(mask, 4)) == 3
    by_corner = connected_components(mask, 8)
    assert by_corner.areas_px.tolist() == [3, 1]
    assert by_corner.boxes_xyxy.tolist() == [[0, 0, 3, 2], [4, 2, 5, 3]]
    assert by_corner.labels.tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 2]]


@given(size_hw=sizes, seed=seeds, connectivity=st.sampled_from([4, 8]))
def test_regions_are_a_partition(size_hw, seed, connectivity):
    mask = random_mask(size_hw, seed)
    found = connected_components(mask, connectivity)
    masks = found.masks()
    assert torch.equal(masks.sum(0).bool(), mask) and int(masks.sum()) == int(mask.sum())
    assert masks.flatten(1).sum(1).tolist() == found.areas_px.tolist()
    assert boxes_from_masks(masks).tolist() == found.boxes_xyxy.tolist()


def test_an_empty_mask_has_no_regions():
    found = connected_components(torch.zeros(1, 1, 4, 5, dtype=torch.bool))
    assert len(found) == 0 and found.masks().shape == (0, 4, 5)


def test_boxes_of_masks():
    masks = torch.stack((mask_of("....", ".##.", ".#.."), mask_of("....", "....", "....")))
    assert boxes_from_masks(masks).tolist() == [[1, 1, 3, 3], [0, 0, 0, 0]]


@given(size_hw=sizes, seed=seeds, margin_px=st.integers(0, 9))
def test_a_grown_box_contains_its_box_and_stays_inside(size_hw, seed, margin_px):
    mask = random_mask(size_hw, seed)
    mask[size_hw[0] // 2, size_hw[1] // 2] = True
    box = boxes_from_masks(mask[None])[0].tolist()
    x0, y0, x1, y1 = expand_box(box, margin_px, size_hw)
    assert 0 <= x0 <= box[0] and 0 <= y0 <= box[1]
    assert box[2] <= x1 <= size_hw[1] and box[3] <= y1 <= size_hw[0]
    assert expand_box(box, 0, size_hw) == box


def test_a_crop_is_a_copy_of_its_box():
    image = torch.arange(20.0).view(1, 1, 4, 5)
    piece = crop(image, (1, 2, 4, 4))
    assert piece[0, 0].tolist() == [[11, 12, 13], [16, 17, 18]]
    piece.zero_()
    assert float(image[0, 0, 2, 1]) == 11


@pytest.mark.parametrize("box", [(0, 0, 0, 2), (-1, 0, 2, 2), (0, 0, 6, 2), (3, 0, 2, 2)])
def test_boxes_outside_give_a_sentence(box):
    with pytest.raises(BadInput, match="box must lie"):
        crop(torch.rand(1, 3, 4, 5), box)
