"""Convolution and ReLU in one step."""

import math

import pytest
import torch
from torch.nn import functional as F

from toonout_core.ops import fused_conv
from toonout_core.ops.fused_conv import conv_relu


def test_this_release_of_pytorch_has_the_op():
    """If this fails, PyTorch has changed its private op, and the built-in model is a tenth slower
    than it could be."""
    assert fused_conv.fault() == ""


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("most", [6.0, math.inf])
def test_it_is_a_convolution_and_a_relu(grad, dtype, layout, most):
    torch.manual_seed(0)
    x = (4 * torch.randn(2, 6, 11, 8)).to(dtype).contiguous(memory_format=layout)
    weight, bias = torch.randn(6, 1, 3, 3).to(dtype), torch.randn(6).to(dtype)
    place = ((2, 2), (1, 1))
    with torch.set_grad_enabled(grad):
        found = conv_relu(x, weight, bias, *place, 6, most)
    wanted = F.conv2d(x, weight, bias, *place, groups=6).clamp(0, most)
    torch.testing.assert_close(found, wanted)
    assert (found.max() == 6) == (most == 6) and found.min() == 0


def test_it_is_learned_through():
    weight = torch.randn(4, 3, 1, 1, requires_grad=True)
    conv_relu(torch.rand(1, 3, 5, 5), weight, torch.ones(4), (1, 1), (0, 0), 1).sum().backward()
    assert weight.grad is not None and weight.grad.abs().sum() > 0


@pytest.mark.parametrize("broken", [lambda *_: 1 / 0, lambda x, *_: x])
def test_a_missing_or_wrong_op_is_not_used(monkeypatch, broken):
    def fails(*given):
        try:
            return broken(*given)
        except ZeroDivisionError as error:
            raise RuntimeError("no such op") from error

    monkeypatch.setattr(fused_conv, "_fused", fails)
    fused_conv.fault.cache_clear()
    x = torch.rand(1, 3, 5, 5)
    with torch.no_grad():
        found = conv_relu(x, torch.ones(3, 3, 1, 1), torch.zeros(3), (1, 1), (0, 0), 1)
    assert fused_conv.fault() != ""
    fused_conv.fault.cache_clear()
    torch.testing.assert_close(found, x.sum(1, keepdim=True).expand(1, 3, 5, 5))
