"""Which library multiplies on the CPU: one result, one choice in a process, and a way around it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from toonout_core.ops import linear as module
from toonout_core.ops.linear import choice, linear, pointwise, prefer

ACTIVATIONS = {"none": lambda x: x, "relu": F.relu, "gelu": F.gelu}


@pytest.fixture(autouse=True)
def fresh():
    prefer("auto")
    yield
    prefer("auto")


def given(*shape):
    chance = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=chance)


@pytest.mark.parametrize("way", ["torch", "onednn"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biased", [True, False])
def test_both_ways_give_the_same(way, activation, biased):
    prefer(way)
    x, weight, bias = given(2, 9, 33)[:, ::2], given(14, 33), given(14) if biased else None
    with torch.inference_mode():
        got = linear(x, weight, bias, activation)
        assert choice().way == way
    wanted = ACTIVATIONS[activation](F.linear(x, weight, bias))
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_the_private_op_is_still_what_it_was():
    """If this fails, a release of PyTorch has changed the op: linears on AMD are slow until the
    spelling in ops/linear.py follows.
    """
    assert module._fault() == ""
    schema = str(torch.ops.mkldnn._linear_pointwise.default._schema)
    assert schema == (
        "mkldnn::_linear_pointwise(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, "
        "str? algorithm) -> Tensor Y"
    )


@pytest.mark.parametrize("asked", ["auto", "onednn"])
@pytest.mark.parametrize(
    "broken",
    [
        AttributeError("no attribute _linear_pointwise"),
        RuntimeError("mkldnn::_linear_pointwise() expected at most 5 arguments"),
        lambda x, weight, bias, activation: F.linear(x, weight, bias) + 1,
        lambda x, weight, bias, activation: F.linear(x, weight, bias)[..., :1],
    ],
)
def test_an_op_that_is_missing_or_wrong_is_left_alone(monkeypatch, asked, broken):
    def op(*args):
        if isinstance(broken, Exception):
            raise broken
        return broken(*args)

    prefer(asked)
    monkeypatch.setattr(module, "_onednn", op)
    x, weight = given(4, 8), given(3, 8)
    with torch.inference_mode():
        assert torch.equal(linear(x, weight), F.linear(x, weight))
    assert choice().way == "torch" and "not to be had" in choice().why


@pytest.mark.parametrize(("torchs", "onednns", "way"), [(100, 200, "onednn"), (140, 142, "torch")])
def test_what_is_clearly_faster_is_taken_and_remembered(monkeypatch, torchs, onednns, way):
    measured = []

    def measure():
        measured.append(1)
        return {"torch": torchs, "onednn": onednns}

    monkeypatch.setattr(module, "_measure", measure)
    assert [choice().way for _ in range(3)] == [way] * 3
    assert len(measured) == 1


def test_the_measurement_knows_both():
    gflops = module._measure()
    assert set(gflops) == {"torch", "onednn"} and min(gflops.values()) > 0


def test_training_and_other_types_never_see_the_private_op(monkeypatch):
    prefer("onednn")
    assert choice().way == "onednn"
    monkeypatch.setattr(module, "_onednn", lambda *args: pytest.fail("not for this"))
    x, layer = given(4, 8), nn.Linear(8, 3)
    linear(x, layer.weight, layer.bias).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        linear(x.bfloat16(), layer.weight.bfloat16(), layer.bias.bfloat16())
        linear(x[:0], layer.weight, layer.bias)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            linear(x, layer.weight, layer.bias)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_pointwise_convolution_keeps_the_layout(layout):
    x = given(2, 5, 6, 7).contiguous(memory_format=layout)
    weight, bias = given(4, 5, 1, 1), given(4)
    with torch.inference_mode():
        got = pointwise(x, weight, bias)
    torch.testing.assert_close(got, F.conv2d(x, weight, bias), rtol=1e-5, atol=1e-5)
    assert got.is_contiguous(memory_format=layout)
