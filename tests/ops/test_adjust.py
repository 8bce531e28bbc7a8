"""Adjustments of mattes: the identity at their defaults, and the laws of each."""

import math
from dataclasses import FrozenInstanceError, fields, replace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.ops import adjust as adjusting
from toonout_core.ops.adjust import (
    AdjustOptions,
    adjust,
    drop_specks,
    feather,
    fill_holes,
    gamma,
    levels,
)

seeds = st.integers(0, 999)
sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
points = st.floats(0, 1)
areas = st.one_of(st.integers(0, 40), st.just(math.inf))


def soft(size_hw, seed, batch=1):
    """Alpha with flat parts at both ends and every value between."""
    x = torch.rand(batch, 1, *size_hw, generator=torch.Generator().manual_seed(seed))
    return (x * 3 - 1).clamp(0, 1)


EVERY = {
    "levels": lambda alpha: levels(alpha, 0.1, 0.8),
    "gamma": lambda alpha: gamma(alpha, 1.7),
    "feather": lambda alpha: feather(alpha, 3.5),
    "fill_holes": lambda alpha: fill_holes(alpha, 9),
    "drop_specks": lambda alpha: drop_specks(alpha, 9),
    "all": lambda alpha: adjust(alpha, AdjustOptions(0.1, 0.9, 1.4, 5, 5, 1.5, 2)),
}
every = pytest.mark.parametrize("name", EVERY)


# ---------------------------------------------------------------- laws of all


@every
@given(size_hw=sizes, seed=seeds)
def test_results_are_alpha(name, size_hw, seed):
    result = EVERY[name](soft(size_hw, seed, batch=2))
    assert result.shape == (2, 1, *size_hw) and result.dtype == torch.float32
    assert torch.isfinite(result).all() and result.min() >= 0 and result.max() <= 1


@every
@given(size_hw=sizes, seed=seeds)
def test_opaque_stays_opaque_and_clear_stays_clear(name, size_hw, seed):
    assert torch.equal(EVERY[name](torch.zeros(1, 1, *size_hw)), torch.zeros(1, 1, *size_hw))
    if name in ("drop_specks", "all"):
        size_hw = (20, 20)  # smaller ones are specks themselves
    assert torch.equal(EVERY[name](torch.ones(1, 1, *size_hw)), torch.ones(1, 1, *size_hw))


@every
@given(size_hw=sizes, seed=seeds, share=points)
def test_more_alpha_in_is_more_alpha_out(name, size_hw, seed, share):
    alpha = soft(size_hw, seed)
    less = alpha * (1 - share * soft(size_hw, seed + 1))
    assert (EVERY[name](less) <= EVERY[name](alpha) + 1e-6).all()


@every
@given(size_hw=sizes, seed=seeds)
def test_nothing_has_a_direction(name, size_hw, seed):
    alpha = soft(size_hw, seed)
    result = EVERY[name](alpha)
    for axis in (-1, -2):
        assert (EVERY[name](alpha.flip(axis)) - result.flip(axis)).abs().max() < 1e-5


@every
def test_inputs_stay_as_they_are_and_batches_are_their_items(name):
    alpha = soft((21, 17), 5, batch=3)
    before = alpha.clone()
    result = EVERY[name](alpha)
    assert torch.equal(alpha, before)
    assert torch.equal(result[1:2], EVERY[name](alpha[1:2]))


@given(size_hw=sizes, seed=seeds)
def test_defaults_change_nothing(size_hw, seed):
    alpha = soft(size_hw, seed)
    assert torch.equal(adjust(alpha, AdjustOptions()), alpha)
    for same in (levels, gamma):
        assert torch.equal(same(alpha), alpha)
    for same in (feather, fill_holes, drop_specks):
        assert torch.equal(same(alpha, 0), alpha)


# ---------------------------------------------------------------- levels, gamma


@given(size_hw=sizes, seed=seeds, ends=st.tuples(points, points))
@example(size_hw=(1, 1), seed=1, ends=(1.0, 0.98))
def test_levels_stretch_between_two_points(size_hw, seed, ends):
    black, white = sorted(ends)
    if white - black < 1e-3:
        return
    alpha = soft(size_hw, seed)
    result = levels(alpha, black, white)
    assert (result[alpha <= black] == 0).all() and (result[alpha >= white] == 1).all()
    between = (alpha > black) & (alpha < white)
    back = result[between] * (white - black) + black
    assert torch.allclose(back, alpha[between], atol=1e-5)


def test_levels_that_cut_cut_only_once():
    alpha = soft((15, 15), 3)
    hard = levels(alpha, 0.5 - 1e-6, 0.5)
    assert torch.equal(levels(hard, 0.5 - 1e-6, 0.5), hard)


@given(size_hw=sizes, seed=seeds, by=st.floats(0.2, 5))
def test_gamma_keeps_the_ends_and_is_undone_by_its_inverse(size_hw, seed, by):
    alpha = soft(size_hw, seed)
    result = gamma(alpha, by)
    assert (result[alpha == 0] == 0).all() and (result[alpha == 1] == 1).all()
    assert (result >= alpha - 1e-6).all() if by >= 1 else (result <= alpha + 1e-6).all()
    assert torch.allclose(gamma(result, 1 / by), alpha, atol=1e-3)


# ---------------------------------------------------------------- feather


def test_feathering_reaches_exactly_so_far():
    mask = torch.zeros(1, 1, 60, 60)
    mask[..., :30] = 1
    result = feather(mask, 8)[0, 0, 30]
    assert (result[:22] == 1).all() and (result[38:] == 0).all()
    assert (result[22:37].diff() < 0).all()
    assert abs(float(result[29] + result[30]) - 1) < 1e-4


@given(seed=seeds, radius=st.floats(0.5, 9))
def test_feathering_a_wide_border_keeps_the_amount(seed, radius):
    alpha = torch.nn.functional.pad(soft((20, 20), seed), (12,) * 4)
    assert abs(float(feather(alpha, radius).sum() / alpha.sum()) - 1) < 1e-4


def test_the_widest_feather_keeps_opaque_parts():
    alpha = torch.ones(1, 1, 250, 250)
    assert torch.equal(feather(alpha, 100), alpha)


# ---------------------------------------------------------------- holes and specks


@given(size_hw=sizes, seed=seeds, area=areas)
def test_filling_only_adds_and_is_done_after_once(size_hw, seed, area):
    alpha = soft(size_hw, seed)
    result = fill_holes(alpha, area)
    assert (result >= alpha).all()
    assert torch.equal(fill_holes(result, area), result)


@given(size_hw=sizes, seed=seeds, area=areas)
def test_dropping_only_takes_and_is_done_after_once(size_hw, seed, area):
    alpha = soft(size_hw, seed)
    result = drop_specks(alpha, area)
    assert (result <= alpha).all()
    assert torch.equal(drop_specks(result, area), result)


@given(size_hw=sizes, seed=seeds, pair=st.tuples(areas, areas))
def test_a_larger_area_does_more(size_hw, seed, pair):
    alpha = soft(size_hw, seed)
    small, large = sorted(pair)
    assert (fill_holes(alpha, small) <= fill_holes(alpha, large)).all()
    assert (drop_specks(alpha, small) >= drop_specks(alpha, large)).all()


def disc(radius, size_px=41, outside=0.0, inside=1.0):
    """A soft disc in the middle."""
    y, x = (torch.arange(size_px) - size_px // 2 for _ in range(2))
    distance = (y[:, None] ** 2 + x[None] ** 2).float().sqrt()
    cover = ((radius - distance) / 3 + 0.5).clamp(0, 1)
    return (outside + (inside - outside) * cover)[None, None]


def test_a_soft_hole_is_filled_to_the_brim():
    character = 1 - disc(6)
    character[..., :3] = 0
    filled = fill_holes(character, 250)
    assert (filled[..., 3:] == 1).all() and (filled[..., :3] == 0).all()
    assert float(fill_holes(character, 20)[0, 0, 20, 20]) == 0, "too large to be a hole of 20 px"


def test_a_soft_speck_vanishes_with_its_rim():
    alpha = disc(6)
    assert torch.equal(drop_specks(alpha, 250), torch.zeros_like(alpha))
    assert torch.equal(drop_specks(alpha, 50), alpha), "even its opaque core has 66 px"


def test_a_large_character_stays_when_its_specks_go():
    alpha = disc(14, 61)
    dirty = alpha.clone()
    dirty[..., 2:4, 2:4] = 0.6
    dirty[..., 0, 50:53] = 1
    assert torch.equal(drop_specks(dirty, 20), alpha)


def test_what_opens_to_the_border_is_no_hole():
    character = torch.zeros(1, 1, 20, 20)
    character[..., 5:15, 5:15] = 1
    character[..., 8:12, 8:12] = 0
    opened = character.clone()
    opened[..., 9, 12:15] = 0
    assert float(fill_holes(character, math.inf)[0, 0, 9, 9]) == 1
    assert torch.equal(fill_holes(opened, math.inf), opened)
    assert torch.equal(fill_holes(character, 15), character), "a hole of 16 px"


def test_a_hole_in_haze_is_raised_to_the_haze_only():
    alpha = torch.full((1, 1, 30, 30), 0.5)
    alpha[..., 0] = 0
    alpha[..., 10:13, 10:13] = 0.1
    assert float(fill_holes(alpha, 20)[0, 0, 11, 11]) == 0.5


# ---------------------------------------------------------------- all in their order


def test_the_order_is_fixed(monkeypatch):
    called = []
    for name in ("levels", "gamma", "drop_specks", "fill_holes", "grow", "feather"):
        monkeypatch.setattr(
            adjusting,
            name,
            lambda alpha, *values, name=name: called.append((name, values)) or alpha,
        )
    adjust(soft((4, 4), 1), AdjustOptions(0.1, 0.9, 2, 3, 4, 5, 6))
    assert called == [
        ("levels", (0.1, 0.9)),
        ("gamma", (2,)),
        ("drop_specks", (3,)),
        ("fill_holes", (4,)),
        ("grow", (5,)),
        ("feather", (6,)),
    ]


@pytest.mark.parametrize("field", [field.name for field in fields(AdjustOptions)])
def test_every_option_does_something(field):
    alpha = (disc(14, 61) * (1 - disc(3, 61))).clone()
    alpha[..., 2:4, 2:4] = 0.6
    value = {"white": 0.7, "drop_specks_px": 60, "fill_holes_px": 90, "grow_px": -1}.get(field, 0.4)
    value = 3 if field == "feather_px" else value
    assert not torch.equal(adjust(alpha, replace(AdjustOptions(), **{field: value})), alpha)


def test_options_are_frozen():
    with pytest.raises(FrozenInstanceError):
        AdjustOptions().black = 0.5


@pytest.mark.parametrize(
    "options",
    [
        AdjustOptions(black=0.5, white=0.5),
        AdjustOptions(gamma=0),
        AdjustOptions(gamma=math.nan),
        AdjustOptions(grow_px=math.inf),
        AdjustOptions(feather_px=-1),
        AdjustOptions(fill_holes_px=-1),
        AdjustOptions(drop_specks_px=math.nan),
    ],
)
def test_senseless_options_give_a_sentence(options):
    with pytest.raises(BadInput, match="must"):
        adjust(torch.rand(1, 1, 4, 4), options)
