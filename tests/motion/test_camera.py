from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.motion.camera import CameraOptions, Easing, Loop, Motion, Pose, poses

MOTIONS = get_args(Motion)


def far(one: Pose, two: Pose) -> float:
    values = ((*p.shift_xy, p.push, p.zoom, *p.aim_xy) for p in (one, two))
    return max(abs(a - b) for a, b in zip(*values, strict=True))


@pytest.mark.parametrize("motion", MOTIONS)
def test_once_begins_with_the_picture_as_it_is(motion):
    path = poses(CameraOptions(motion, loop="once"), 24)
    if motion != "zoom out":
        assert path[0].is_still
    else:
        assert path[-1].is_still
    assert len(path) == 24
    assert any(not pose.is_still for pose in path)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("loop", ["seamless", "ping-pong"])
def test_loops_go_on_where_they_began(motion, loop):
    options = CameraOptions(motion, loop=loop, aim_xy=(0.8, 0.3))
    path = poses(options, 60)
    steps = [far(one, two) for one, two in pairwise([*path, path[0]])]
    assert steps[-1] <= 1.5 * max(steps[:-1])


@given(
    st.sampled_from(MOTIONS),
    st.sampled_from(get_args(Loop)),
    st.sampled_from(get_args(Easing)),
    st.floats(0, 2),
    st.integers(1, 40),
)
def test_any_options_give_poses_that_can_be_drawn(motion, loop, easing, amount, frames):
    options = CameraOptions(motion, amount, focus=1.0, loop=loop, easing=easing)
    for pose in poses(options, frames):
        assert 0.5 < pose.zoom < 2.5
        assert abs(pose.push) < 0.9  # k = 1 / (1 - push·(s - focus)) stays finite
        half = 0.5 / pose.zoom
        for aim in pose.aim_xy:
            assert half - 1e-9 <= aim <= 1 - half + 1e-9


def test_reverse_and_phase():
    forward = poses(CameraOptions("zoom in", loop="once"), 9)
    backward = poses(CameraOptions("zoom in", loop="once", reverse=True), 9)
    assert max(far(a, b) for a, b in zip(forward, backward[::-1], strict=True)) < 1e-12
    shifted = poses(CameraOptions("horizontal", phase=0.25), 8)
    plain = poses(CameraOptions("horizontal"), 8)
    assert max(far(a, b) for a, b in zip(shifted, plain[2:] + plain[:2], strict=True)) < 1e-12


def test_a_shake_is_the_same_for_the_same_seed():
    one, two, other = (poses(CameraOptions("shake", seed=s), 12) for s in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize(
    "wrong", [{"motion": "spin"}, {"amount": 3}, {"focus": -1}, {"loop": "x"}, {"phase": 2}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        CameraOptions(**wrong)
    with pytest.raises(BadInput, match="at least one frame"):
        poses(CameraOptions(), 0)
