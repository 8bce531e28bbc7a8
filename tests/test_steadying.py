"""Clips whose mattes are noisy: drawn sprites that move, with truth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional

from toonout_core.steadying import Steady, SteadyMatting

SIZE_HW = (96, 128)
SPRITE_HW = (48, 40)


def texture(size_hw, seed):
    """Coarse and fine noise, which optical flow can hold on to."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, *size_hw)
    for cell in (4, 8, 16):
        small = torch.rand(
            1, 3, size_hw[0] // cell + 2, size_hw[1] // cell + 2, generator=generator
        )
        total += functional.interpolate(small, size_hw, mode="bicubic") * cell**0.5
    total -= total.min()
    return total / total.max()


BEHIND = texture((SIZE_HW[0], SIZE_HW[1] + 100), 1)
SPRITE = texture(SPRITE_HW, 2)


def sprite_alpha():
    y, x = np.mgrid[: SPRITE_HW[0], : SPRITE_HW[1]]
    inside = 1 - np.hypot((x - 20) / 18, (y - 24) / 22)
    return torch.tensor(np.clip(inside * 9 + 0.5, 0, 1))[None, None].float()


def scene(x, y, pan=0):
    """A frame and its true alpha; the sprite at whole pixels."""
    image = BEHIND[..., pan : pan + SIZE_HW[1]].clone()
    alpha = torch.zeros(1, 1, *SIZE_HW)
    place = (..., slice(y, y + SPRITE_HW[0]), slice(x, x + SPRITE_HW[1]))
    alpha[place] = sprite_alpha()
    image[place] = SPRITE * alpha[place] + image[place] * (1 - alpha[place])
    return image, alpha


def noisy(alpha, generator):
    """Other errors at the edge in every frame."""
    noise = torch.randn(1, 1, SIZE_HW[0] // 6, SIZE_HW[1] // 6, generator=generator) * 0.25
    noise = functional.interpolate(noise, SIZE_HW, mode="bilinear")
    soft = (alpha > 0.01) & (alpha < 0.99)
    return (alpha + noise * functional.max_pool2d(soft.float(), 3, 1, 1)).clamp(0, 1)


def errors(path, pan=0):
    """Of what was given and of what came out: change from frame to frame on the sprite, and SAD."""
    steady, generator = Steady(), torch.Generator().manual_seed(4)
    found = {"given": [], "steady": []}
    for number, (x, y) in enumerate(path):
        image, alpha = scene(x, y, pan * number)
        given = noisy(alpha, generator)
        for name, shown in (("given", given), ("steady", steady(image, given))):
            error = (shown - alpha)[..., y : y + SPRITE_HW[0], x : x + SPRITE_HW[1]]
            found[name].append(error)
    changes = {n: sum(float((b - a).abs().sum()) for a, b in pairwise(e[2:]))
               for n, e in found.items()}  # fmt: skip
    sums = {n: sum(float(error.abs().sum()) for error in e[2:]) for n, e in found.items()}
    return changes["steady"] / changes["given"], sums["steady"] / sums["given"]


@pytest.mark.parametrize(
    "path",
    [[(40, 20)] * 12, [(20 + step, 20 + step // 3) for step in range(16)],
     [(10 + 2 * step, 20) for step in range(16)], [(4 + 8 * step, 20) for step in range(11)]],
    ids=["still", "slow", "walk", "run"],
)  # fmt: skip
def test_flicker_is_halved_and_edges_are_no_worse(path):
    pytest.importorskip("cv2")
    change, error = errors(path)
    assert change <= 0.5
    assert error <= 1.0


def turned(degrees):
    """A frame and its true alpha; the sprite turns like a limb."""
    angle = np.deg2rad(degrees)
    turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]
    layers = torch.cat((SPRITE, sprite_alpha()), 1)
    layers = functional.pad(layers, (44, 44, 24, 24))
    grid = functional.affine_grid(torch.tensor([turn]).float(), layers.shape, align_corners=False)
    colours, alpha = functional.grid_sample(layers, grid, align_corners=False).split([3, 1], 1)
    return colours * alpha + BEHIND[..., : SIZE_HW[1]] * (1 - alpha), alpha


@pytest.mark.parametrize("frames", ["turning", "running"])
def test_edges_of_what_is_fast_are_no_worse(frames):
    """Twelve degrees, or a third of the sprite's width, from frame to frame."""
    pytest.importorskip("cv2")
    if frames == "running":
        assert errors([(4 + 12 * step, 20) for step in range(8)])[1] <= 1.0
        return
    steady, generator = Steady(), torch.Generator().manual_seed(4)
    sums = torch.zeros(2)
    for number in range(8):
        image, alpha = turned(12 * number)
        given = noisy(alpha, generator)
        sums += torch.stack([(a - alpha).abs().sum() for a in (given, steady(image, given))])
    assert sums[1] <= sums[0]


def test_nothing_stays_behind_a_fast_part_or_a_pan():
    pytest.importorskip("cv2")
    for step, pan in ((12, 0), (1, 4)):
        steady = Steady()
        for number in range(6):
            image, alpha = scene(4 + step * number, 20, pan * number)
            found = steady(image, alpha)
        far = functional.max_pool2d(alpha, 9, 1, 4) == 0
        assert float((found * far).max()) < 0.02  # no ghost where it was
        assert float((found - alpha).abs().sum()) < 0.06 * float(alpha.sum())


def test_a_cut_is_no_motion():
    pytest.importorskip("cv2")
    steady = Steady()
    steady(*scene(60, 30))
    other = texture(SIZE_HW, 9)
    alpha = torch.zeros(1, 1, *SIZE_HW)
    alpha[..., :40, :50] = 0.8
    assert torch.equal(steady(other, alpha), alpha)
    small = torch.rand(1, 3, 40, 40)
    assert torch.equal(steady(small, small[:, :1]), small[:, :1])  # another size


def test_a_flow_gives_its_frames_in_order():
    from tests.test_matting import matting

    pytest.importorskip("cv2")
    image = torch.cat([scene(40, 20)[0]] * 3)
    flow = SteadyMatting(matting())
    assert flow.name == matting().name
    together = flow.predict(image, frames_per_step=2)
    plain = matting().predict(image)
    assert float((together - plain).abs().max()) < 1e-5  # alike frames stay as they are
    assert len(flow.predict(image[:0])) == 0
