"""The picture that shows what was found."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.characters.overlay import draw_instances, instance_colours
from toonout_core.errors import BadInput
from toonout_core.instances import Instances


def discs(size_hw=(120, 200), *, soft=False):
    rows = torch.arange(size_hw[0])[:, None]
    columns = torch.arange(size_hw[1])[None]
    masks = [(rows - 60) ** 2 + (columns - x) ** 2 < 40**2 for x in (55, 145)]
    stacked = torch.stack(masks)
    return Instances.from_masks(stacked.float() if soft else stacked)


def test_masks_are_tinted_and_the_rest_stays():
    image, found = torch.full((1, 3, 120, 200), 102 / 255), discs()
    drawn = draw_instances(image, found, alpha=0.5, boxes=False, numbers=False)
    assert drawn.shape == image.shape
    assert torch.equal(drawn[..., :10, :], image[..., :10, :])
    for index, x in enumerate((35, 165)):
        expected = (102 / 255 + instance_colours(2)[index]) / 2
        assert torch.allclose(drawn[0, :, 60, x], expected, atol=1 / 255)


@pytest.mark.parametrize("soft", [False, True])
def test_boxes_and_numbers_are_drawn_where_they_belong(soft):
    image, found = torch.zeros(1, 3, 120, 200), discs(soft=soft)
    plain = draw_instances(image, found, boxes=False, numbers=False)
    boxed = draw_instances(image, found, numbers=False)
    left, top, right, bottom = found.boxes_xyxy[1].tolist()
    for y, x in ((top, left), (top, right - 1), (bottom - 1, left), (bottom - 1, right - 1)):
        assert torch.allclose(boxed[0, :, y, x], instance_colours(2)[1], atol=1 / 255)
        assert not torch.equal(plain[0, :, y, x], boxed[0, :, y, x])
    numbered = draw_instances(image, found, boxes=False)
    changed = (numbered != plain).any(1)[0]
    assert changed[50:70, 45:65].any()
    assert changed[50:70, 135:155].any()
    assert changed.sum() == changed[45:75, 40:70].sum() + changed[45:75, 130:160].sum()
    assert (numbered.amin(1) > 0.95).any()
    assert torch.equal(image, torch.zeros_like(image))


def test_a_number_stays_in_the_picture_and_readable_at_its_corner():
    masks = torch.zeros(12, 90, 90, dtype=torch.bool)
    masks[11, 86:, 86:] = True
    drawn = draw_instances(torch.zeros(1, 3, 90, 90), Instances.from_masks(masks), boxes=False)
    white = (drawn[0].amin(0) > 0.6).nonzero()
    assert len(white) > 10
    assert white.min() > 65


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 4), st.booleans(), st.integers(0, 999)
)
def test_any_size_any_mask(height, width, count, soft, seed):
    draw = torch.Generator().manual_seed(seed)
    values = torch.rand(count, height, width, generator=draw)
    found = Instances.from_masks(values if soft else values > 0.5)
    drawn = draw_instances(torch.rand(1, 3, height, width, generator=draw), found)
    assert drawn.shape == (1, 3, height, width)
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_colours_are_far_apart():
    colours = 255 * instance_colours(24)
    distances = torch.cdist(colours, colours) + 999 * torch.eye(24)
    assert distances[:7, :7].min() > 60
    assert distances.min() > 20


@pytest.mark.parametrize(
    ("image", "alpha", "sentence"),
    [
        (torch.zeros(2, 3, 120, 200), 0.5, "image must be 1×3×H×W"),
        (torch.zeros(1, 3, 12, 20), 0.5, "20×12, but got masks of 200×120"),
        (torch.zeros(1, 3, 120, 200), 1.5, "alpha must be in"),
    ],
)
def test_wrong_input(image, alpha, sentence):
    with pytest.raises(BadInput, match=sentence):
        draw_instances(image, discs(), alpha=alpha)
