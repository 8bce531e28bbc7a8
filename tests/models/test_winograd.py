"""3×3 convolutions by tiles: the plain result for every size, and plain where tiles do not pay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from toonout_core.models import winograd
from toonout_core.models.winograd import conv3x3


def inputs(x_shape, channels_out, layout=torch.channels_last):
    chance = torch.Generator().manual_seed(sum(x_shape))
    x = torch.randn(*x_shape, generator=chance).contiguous(memory_format=layout)
    weight = torch.randn(channels_out, x_shape[1], 3, 3, generator=chance)
    return x, weight / (9 * x_shape[1]) ** 0.5, torch.randn(channels_out, generator=chance)


def check(x, weight, bias):
    with torch.inference_mode():
        got = conv3x3(x, weight, bias)
    exact = F.conv2d(
        x.double(), weight.double(), None if bias is None else bias.double(), padding=1
    )
    assert got.dtype == torch.float32 and got.shape == exact.shape
    assert float((got - exact).abs().max()) < 4e-5
    assert got.is_contiguous(memory_format=torch.channels_last)


@given(
    size_bhw=st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 19)),
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    biased=st.booleans(),
    band_bytes=st.sampled_from([1, 20_000, 8 << 20]),
)
def test_every_size_and_band_gives_the_plain_convolution(size_bhw, channels, biased, band_bytes):
    count, height, width = size_bhw
    x, weight, bias = inputs((count, channels[0], height, width), channels[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "pays", lambda *_: True)
        patch.setattr(winograd, "BAND_BYTES", band_bytes)
        check(x, weight, bias if biased else None)


def test_many_channels_lose_no_digits():
    x, weight, bias = inputs((1, 256, 33, 41), 128)
    assert winograd.pays(x, weight) is False  # outside of inference
    with torch.inference_mode():
        assert winograd.pays(x, weight)
    check(x, weight, bias)


def test_the_layout_of_the_weights_does_not_matter():
    x, weight, bias = inputs((1, 128, 32, 32), 128)
    with torch.inference_mode():
        got = conv3x3(x, weight.contiguous(memory_format=torch.channels_last), bias)
        assert torch.equal(got, conv3x3(x, weight, bias))


NOT_WORTH_IT = {
    "few channels": inputs((1, 64, 64, 64), 64),
    "few pixels": inputs((1, 256, 16, 16), 256),
    "another layout": inputs((1, 256, 48, 48), 256, torch.contiguous_format),
    "another type": tuple(value.double() for value in inputs((1, 256, 40, 40), 256)),
}


@pytest.mark.parametrize("case", NOT_WORTH_IT)
def test_where_tiles_do_not_pay_it_is_the_plain_convolution(case, monkeypatch):
    monkeypatch.setattr(winograd, "_by_tiles", lambda *_: pytest.fail("not for this"))
    x, weight, bias = NOT_WORTH_IT[case]
    with torch.inference_mode():
        assert torch.equal(conv3x3(x, weight, bias), F.conv2d(x, weight, bias, padding=1))


def test_training_and_autocast_never_see_tiles(monkeypatch):
    monkeypatch.setattr(winograd, "_by_tiles", lambda *_: pytest.fail("not for this"))
    x, weight, bias = inputs((1, 128, 40, 40), 128)
    conv3x3(x, weight.requires_grad_(), bias).sum().backward()
    assert weight.grad is not None
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv3x3(x, weight, bias).dtype == torch.bfloat16
