"""Growing and shrinking: the laws of mathematical morphology, on masks and on soft alpha."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.ops import morphology
from toonout_core.ops.morphology import dilate, erode, grow, signed_distance

seeds = st.integers(0, 999)
sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
radii = st.integers(0, 30)
KINDS = ["mask", "alpha"]
kinds = pytest.mark.parametrize("kind", KINDS)


def draw(kind, size_hw, seed):
    """A random mask, or alpha with flat parts at both ends."""
    x = torch.rand(1, 1, *size_hw, generator=torch.Generator().manual_seed(seed))
    return x > 0.7 if kind == "mask" else (x * 3 - 1).clamp(0, 1)


def disk_extreme(x, radius, extreme):
    """By the definition: over all pixels of the picture in reach."""
    height, width = x.shape[-2:]
    y, x_ = np.mgrid[0:height, 0:width]
    points = np.stack((y.ravel(), x_.ravel()), 1)
    near = ((points[:, None] - points[None]) ** 2).sum(-1) <= radius**2
    values = x.flatten().float().numpy()
    return np.array([extreme(values[row]) for row in near]).reshape(height, width)


@kinds
@given(size_hw=sizes, seed=seeds, radius=radii)
def test_dilate_and_erode_are_extremes_over_a_disk(kind, size_hw, seed, radius):
    x = draw(kind, size_hw, seed)
    assert np.array_equal(dilate(x, radius)[0, 0].float(), disk_extreme(x, radius, np.max))
    assert np.array_equal(erode(x, radius)[0, 0].float(), disk_extreme(x, radius, np.min))
    assert dilate(x, radius).dtype == x.dtype


@given(size_hw=sizes, seed=seeds, radius=radii)
def test_distances_and_rows_give_the_same_mask(size_hw, seed, radius):
    mask = draw("mask", size_hw, seed)
    assert torch.equal(dilate(mask, radius).float(), dilate(mask.float(), radius))


def test_large_disks_agree_too():
    mask = torch.zeros(1, 1, 300, 300, dtype=torch.bool)
    mask[..., 150, 140] = mask[..., 20, 280] = True
    for radius in (57, 100):
        assert torch.equal(dilate(mask, radius).float(), dilate(mask.float(), radius))


@kinds
@given(size_hw=sizes, seed=seeds, radius=radii)
def test_eroding_is_dilating_what_is_not(kind, size_hw, seed, radius):
    x = draw(kind, size_hw, seed)
    opposite = ~dilate(~x, radius) if kind == "mask" else 1 - dilate(1 - x, radius)
    assert (erode(x, radius).float() - opposite.float()).abs().max() < 1e-6


def opening(x, radius):
    return dilate(erode(x, radius), radius)


def closing(x, radius):
    return erode(dilate(x, radius), radius)


@kinds
@given(size_hw=sizes, seed=seeds, radius=radii)
def test_opening_and_closing_are_idempotent_and_ordered(kind, size_hw, seed, radius):
    x = draw(kind, size_hw, seed)
    opened, closed = opening(x, radius), closing(x, radius)
    assert torch.equal(opening(opened, radius), opened)
    assert torch.equal(closing(closed, radius), closed)
    assert (opened.float() <= x.float()).all() and (x.float() <= closed.float()).all()


def test_a_batch_is_its_planes():
    x = draw("alpha", (20, 15), 3).repeat(2, 3, 1, 1)
    x[1, 2] = 0
    assert torch.equal(dilate(x, 4)[0, 1], dilate(x[:1, :1], 4)[0, 0])
    assert (dilate(x, 4)[1, 2] == 0).all()


# ---------------------------------------------------------------- grow

reaches = st.floats(-12, 12)


@given(size_hw=sizes, seed=seeds, reach=reaches)
def test_growing_contains_and_stays_in_range(size_hw, seed, reach):
    alpha = draw("alpha", size_hw, seed)
    result = grow(alpha, reach)
    assert result.min() >= 0 and result.max() <= 1
    assert (result >= alpha).all() if reach >= 0 else (result <= alpha).all()


@given(size_hw=sizes, seed=seeds)
def test_growing_by_nothing_is_the_identity(size_hw, seed):
    alpha = draw("alpha", size_hw, seed)
    assert torch.equal(grow(alpha, 0.0), alpha)
    assert torch.equal(grow(alpha, -0.0), alpha)


@given(size_hw=sizes, seed=seeds, reaches_px=st.tuples(reaches, reaches))
def test_more_growth_is_more_alpha(size_hw, seed, reaches_px):
    alpha = draw("alpha", size_hw, seed)
    less, more = sorted(reaches_px)
    assert (grow(alpha, less) <= grow(alpha, more) + 1e-6).all()


@given(size_hw=sizes, seed=seeds, reach=reaches)
def test_more_alpha_is_more_after_growth(size_hw, seed, reach):
    alpha = draw("alpha", size_hw, seed)
    assert (grow(alpha * 0.6, reach) <= grow(alpha, reach) + 1e-6).all()


@given(size_hw=sizes, seed=seeds, reach=reaches)
def test_shrinking_is_growing_what_is_not(size_hw, seed, reach):
    alpha = draw("alpha", size_hw, seed)
    assert (grow(alpha, -reach) - (1 - grow(1 - alpha, reach))).abs().max() < 1e-6


@given(size_hw=sizes, seed=seeds, reach=reaches)
def test_growth_has_no_direction(size_hw, seed, reach):
    alpha = draw("alpha", size_hw, seed)
    grown = grow(alpha, reach)
    for axis in (-1, -2):
        assert torch.equal(grow(alpha.flip(axis), reach), grown.flip(axis))
    assert torch.equal(grow(alpha.transpose(-1, -2), reach), grown.transpose(-1, -2))


@given(size_hw=sizes, seed=seeds, radius=st.integers(0, 12))
def test_a_mask_grows_by_whole_radii_as_it_dilates(size_hw, seed, radius):
    mask = draw("mask", size_hw, seed)
    assert torch.equal(grow(mask.float(), float(radius)), dilate(mask, radius).float())


@pytest.mark.parametrize("reach", [0.25, 1.5, 3.7, -0.4, -2.6])
def test_an_edge_moves_by_exactly_that_and_keeps_its_softness(reach):
    ramp = ((40 - torch.arange(80.0)) / 10).clamp(0, 1).expand(1, 1, 9, 80)
    result = grow(ramp, reach)
    assert abs(float((result - ramp)[0, 0, 4].sum()) - reach) < 1e-4
    moved = ((40 + reach - torch.arange(80.0)) / 10).clamp(0, 1)
    assert (result[0, 0, 4] - moved).abs().max() < 0.03


def test_a_hard_edge_gets_a_rim_of_the_fraction():
    mask = torch.zeros(1, 1, 5, 9)
    mask[..., :4] = 1
    assert torch.allclose(grow(mask, 2.3)[0, 0, 2, 4:8], torch.tensor([1, 1, 0.3, 0]), atol=1e-6)


@pytest.mark.parametrize("call", [lambda x: grow(x, float("nan")), lambda x: dilate(x, -1)])
def test_senseless_radii_give_a_sentence(call):
    with pytest.raises(BadInput, match="radius_px must"):
        call(torch.rand(1, 1, 4, 4))


# ---------------------------------------------------------------- distance


@given(size_hw=sizes, seed=seeds)
def test_distances_are_euclidean(size_hw, seed):
    mask = draw("mask", size_hw, seed)
    points = torch.stack(torch.meshgrid(*map(torch.arange, size_hw), indexing="ij"), -1).float()
    points, inside = points.view(-1, 2), mask.flatten()
    pairs = torch.cdist(points, points)
    nothing = torch.tensor(torch.inf)
    to_other = torch.stack(
        [
            pairs[i][inside != inside[i]].min() if (inside != inside[i]).any() else nothing
            for i in range(len(points))
        ]
    )
    expected = torch.where(inside, to_other - 0.5, 0.5 - to_other).view(mask.shape)
    result = signed_distance(mask)
    assert torch.allclose(result, expected, atol=1e-3)


def test_the_disk_needs_no_square_of_its_radius(monkeypatch):
    """Operations on whole planes: three a row of the disk, and the doubling of windows."""
    count = 0
    maximum = torch.maximum

    def counted(*arguments, **options):
        nonlocal count
        count += 1
        return maximum(*arguments, **options)

    monkeypatch.setattr(morphology.torch, "maximum", counted)
    dilate(torch.rand(1, 1, 250, 4), 100)
    assert count <= 3 * 101 + 8
