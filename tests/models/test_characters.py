"""The head for characters: a part of a file that alpha does not know of."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch.nn import functional as F

from tests.models.test_lite_unet import STAGES, WIDTHS, small
from toonout_core.errors import CorruptWeights
from toonout_core.models.lite_unet import ARCHITECTURE, LiteUNet
from toonout_core.models.lite_unet.characters import (
    STRIDE,
    Certainty,
    _by_phases,
    logit,
    read_certainty,
)

IMAGE = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def with_head():
    torch.manual_seed(4)
    network = LiteUNet(8, STAGES, WIDTHS, characters=(5, 6, 7))
    state = network.state_dict() | small().state_dict()
    return ARCHITECTURE.load(state)


def test_alpha_is_the_same_bit_by_bit():
    network, bare = with_head(), small()
    assert torch.equal(network(IMAGE), bare(IMAGE))
    assert torch.equal(network(IMAGE, characters=True)[0], bare(IMAGE))


def test_maps_lie_at_a_quarter_of_the_size():
    _, centres = with_head()(IMAGE, characters=True)
    assert centres.logits.shape == centres.sizes.shape == (1, 1, 64 // STRIDE, 96 // STRIDE)
    assert centres.ways.shape == (1, 2, 64 // STRIDE, 96 // STRIDE)
    assert float(centres.sizes.min()) > 0


def test_the_head_runs_only_when_asked_for():
    network = with_head()

    def refuse(*_):
        raise AssertionError("nobody asked for characters")

    network.characters.register_forward_hook(refuse)
    network(IMAGE)
    with pytest.raises(AssertionError, match="nobody asked"):
        network(IMAGE, characters=True)


def test_what_the_head_is_made_of_needs_no_finest_level():
    network = with_head()
    encoded, decoded = network.deep_features(IMAGE)
    centres = network.characters(encoded, decoded)
    wanted = network(IMAGE, characters=True)[1]
    for name, ours in vars(centres).items():
        theirs = getattr(wanted, name)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_half_a_head_is_refused():
    state = with_head().state_dict()
    del state["characters.last.conv.weight"]
    with pytest.raises(CorruptWeights, match=r"characters\.last"):
        ARCHITECTURE.load(state)


def test_certainty_survives_as_text_and_is_told_to_the_head():
    told = Certainty(1.5, -0.25, 0.75, 0.4)
    network = with_head()
    assert network.characters.certainty == Certainty()
    ARCHITECTURE.configure(network, told.write())
    assert network.characters.certainty == told


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nonsense", json.dumps({"characters": {"slope": "x"}}), "[" * 9999,
     json.dumps({"characters": {"slope": -1, "offset": 0, "area": 0, "alone": 0.5}}),
     json.dumps({"characters": {"slope": math.inf, "offset": 0, "area": 0, "alone": 0.5}}),
     json.dumps({"characters": {"slope": 1, "offset": math.nan, "area": 0, "alone": 0.5}}),
     json.dumps({"characters": {"slope": 1, "offset": 0, "area": -1, "alone": 0.5}}),
     json.dumps({"characters": {"slope": 1, "offset": 0, "area": 0, "alone": 7}})],
)  # fmt: skip
def test_other_text_means_the_usual(text):
    assert read_certainty(text) == Certainty()
    ARCHITECTURE.configure(small(), text)


def test_probabilities_rise_with_scores():
    certain = Certainty(2.0, 1.0, 0.5, 0.5)
    assert certain.of(0.5) == pytest.approx(1 / (1 + math.exp(-1)))
    assert certain.of(0.5, -2.0) == pytest.approx(0.5)  # 2·0 + 0.5·(−2) + 1 = 0
    assert 0 < certain.of(0) < certain.of(0.3) < certain.of(0.9) < certain.of(1) < 1
    assert logit(0.5) == 0


@pytest.mark.parametrize("size_hw", [(1, 1), (7, 12), (32, 33)])
@pytest.mark.parametrize("step", [2, 3])
def test_a_dilated_convolution_by_phases(size_hw, step):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 5, *size_hw), torch.randn(5, 1, 7, 7), torch.randn(5)
    wanted = F.conv2d(x, weight, bias, 1, 3 * step, step, 5)
    torch.testing.assert_close(_by_phases(x, weight, bias, step), wanted, rtol=0, atol=1e-4)
