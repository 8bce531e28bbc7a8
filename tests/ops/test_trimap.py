"""Trimaps: 0, 0.5 and 1, unknown around every edge."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toonout_core.errors import BadInput
from toonout_core.ops.trimap import trimap


def test_a_band_around_a_hard_edge():
    mask = torch.zeros(1, 1, 5, 12)
    mask[..., :6] = 1
    assert trimap(mask, 2)[0, 0, 2].tolist() == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0]


@given(
    size_hw=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 999),
    radius=st.integers(0, 9),
)
def test_what_is_known_was_sure_and_more_reach_knows_less(size_hw, seed, radius):
    alpha = torch.rand(1, 1, *size_hw, generator=torch.Generator().manual_seed(seed)) * 3 - 1
    alpha = alpha.clamp(0, 1)
    result = trimap(alpha, radius)
    assert set(result.unique().tolist()) <= {0, 0.5, 1}
    assert (alpha[result == 1] >= 0.95).all() and (alpha[result == 0] <= 0.05).all()
    wider = trimap(alpha, radius + 1)
    assert ((wider == 0.5) | (wider == result)).all()
    assert torch.equal(trimap(1 - alpha, radius), 1 - result)


def test_senseless_limits_give_a_sentence():
    with pytest.raises(BadInput, match="low and high"):
        trimap(torch.rand(1, 1, 4, 4), 1, low=0.9, high=0.1)
