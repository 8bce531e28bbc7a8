"""All that can be chosen about a camera, from the picture to the frames."""

from __future__ import annotations

import pytest
import torch

from tests.motion.scenes import SIZE_HW, drawn, slope
from toonout_core.errors import BadInput
from toonout_core.instances import Instances
from toonout_core.motion.ken_burns import aim_of, ken_burns
from toonout_core.motion.options import KenBurnsOptions


def frames(depth=None, **options):
    picture, plate, colours, parts = drawn()
    chosen = KenBurnsOptions(**({"frames": 4, "edges": "mirror"} | options))
    made = ken_burns(
        picture, Instances.from_masks(parts), colours, chosen, depth=depth, plate=plate
    )
    return list(made)


def test_once_begins_with_the_picture_bit_for_bit():
    for motion in ("zoom in", "horizontal", "shake"):
        first, *_, last = frames(slope(), loop="once", motion=motion, focus=0.6)
        assert torch.equal(first.image, drawn()[0])
        if motion == "zoom in":
            assert not torch.equal(last.image, drawn()[0])


def test_with_depth_of_field_even_the_first_frame_is_blurred():
    """A sharp one would jump at the second."""
    sharp, soft = (frames(slope(), loop="once", blur=blur, frames=30) for blur in (0.0, 1.0))
    assert not torch.equal(soft[0].image, sharp[0].image)
    jump = (soft[1].image - soft[0].image).abs().mean()
    assert jump < (soft[0].image - sharp[0].image).abs().mean() / 3


def test_a_dolly_zoom_keeps_the_character_and_lets_the_background_grow():
    first, middle = (frames(motion="dolly zoom", amount=1.0)[k] for k in (0, 2))
    near = drawn()[3][0]  # whose feet are lower
    assert torch.allclose(middle.mask[0, 0] * near, first.mask[0, 0] * near, atol=1e-4)
    far = drawn()[3][1] > 0.5
    assert float(middle.mask.sum() - first.mask.sum()) > 0.1 * float(far.sum())


def test_a_camera_goes_for_the_character_that_is_meant():
    instances = Instances.from_masks(drawn()[3])
    (x, y), (other_x, other_y) = aim_of(instances, 0), aim_of(instances, 1)
    assert x == pytest.approx(30.5 / SIZE_HW[1], abs=0.01)
    assert y < 40 / SIZE_HW[0], "its upper half"
    assert other_x == pytest.approx(62.5 / SIZE_HW[1], abs=0.01)
    both = aim_of(instances)
    assert both == pytest.approx(((x + other_x) / 2, (y + other_y) / 2), abs=0.01)
    assert aim_of(Instances.none(SIZE_HW)) == (0.5, 0.5)


def test_the_last_number_may_be_the_nearest():
    by_feet, by_number = (
        frames(motion="horizontal", order=order, focus=0.0)[1] for order in ("feet", "numbers")
    )
    assert not torch.equal(by_feet.mask, by_number.mask)


def test_a_character_that_the_border_cuts_goes_on_beyond_it():
    """The picture's lower part is one character; moved up, no gap opens below it."""
    parts = torch.zeros(1, *SIZE_HW)
    parts[:, 40:] = 1
    picture = torch.full((1, 3, *SIZE_HW), 0.2)
    picture[..., 40:, :] = 0.9
    options = KenBurnsOptions(
        motion="vertical", amount=1.0, frames=4, focus=0.0, edges="mirror", phase=0.5
    )
    plate = torch.full_like(picture, 0.2)
    for frame in ken_burns(picture, Instances.from_masks(parts), picture, options, plate=plate):
        assert float(frame.mask[0, 0, -1].min()) > 0.99


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"character": 2}, "-1 or 0 to 1"),
        ({"motion": "roll"}, "motion must be one of"),
        ({"frames": 0}, "frames must be 1"),
        ({"relief": 1.5}, "relief must be 0"),
    ],
)
def test_what_cannot_be_is_told_at_once(options, words):
    with pytest.raises(BadInput, match=words):
        frames(**options)
