"""The op of torchvision and the sampled form are one function, and either may be missing."""

from __future__ import annotations

import pytest
import torch
import torchvision
from safetensors.torch import load_file

from toonout_core.ops import deform_conv as module
from toonout_core.ops.deform_conv import deform_conv2d, sampled_deform_conv2d


@pytest.fixture(autouse=True)
def _nothing_known_missing(monkeypatch):
    monkeypatch.setattr(module, "_missing", set())


@pytest.fixture
def asked(monkeypatch):
    """Calls of torchvision's op."""
    calls = []
    op = torchvision.ops.deform_conv2d

    def record(*args, **kwargs):
        calls.append(args)
        return op(*args, **kwargs)

    monkeypatch.setattr(torchvision.ops, "deform_conv2d", record)
    return calls


def fail_with(monkeypatch, error):
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise error

    monkeypatch.setattr(torchvision.ops, "deform_conv2d", fail)
    return calls


def inputs(kernel=3, batch=2, size_hw=(9, 11), dtype=torch.float32, reach=4.0):
    taps = kernel * kernel
    x = torch.randn(batch, 8, *size_hw, dtype=dtype)
    offset = torch.randn(batch, 2 * taps, *size_hw, dtype=dtype) * reach
    mask = 2 * torch.rand(batch, taps, *size_hw, dtype=dtype)
    weight = torch.randn(6, 8, kernel, kernel, dtype=dtype) / kernel
    return x, offset, mask, weight, torch.randn(6, dtype=dtype)


def through_op(x, offset, mask, weight, bias):
    padding = weight.shape[-1] // 2
    return torchvision.ops.deform_conv2d(x, offset, weight, bias, padding=padding, mask=mask)


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_sampled_form_equals_the_op(kernel, layout):
    args = inputs(kernel)
    laid_out = [arg.to(memory_format=layout) if arg.ndim == 4 else arg for arg in args]
    torch.testing.assert_close(
        sampled_deform_conv2d(*laid_out), through_op(*args), rtol=0, atol=1e-5
    )


def test_bands_of_rows_make_one_map(monkeypatch):
    args = inputs()
    whole = sampled_deform_conv2d(*args)
    monkeypatch.setattr(module, "_SAMPLE_BYTES", 1)
    with torch.no_grad():
        torch.testing.assert_close(sampled_deform_conv2d(*args), whole)


def test_samples_at_and_beyond_the_border(request):
    path = request.config.rootpath / "tests" / "data" / "birefnet.safetensors"
    recorded = {k[12:]: v for k, v in load_file(path).items() if k.startswith("deform.edge.")}
    one = torch.ones(1, 1, 1, 1)
    for move, expected in zip(recorded["offsets_dy_dx"], recorded["out"], strict=True):
        offset = move.view(1, 2, 1, 1).expand(1, 2, 3, 4)
        mask = torch.ones(1, 1, 3, 4)
        result = sampled_deform_conv2d(recorded["in"], offset, mask, one)
        torch.testing.assert_close(result[0], expected, rtol=0, atol=1e-5)


def test_no_offset_is_a_plain_convolution():
    x, offset, mask, weight, bias = inputs()
    result = sampled_deform_conv2d(x, offset * 0, torch.ones_like(mask), weight, bias)
    expected = torch.nn.functional.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


def test_offsets_that_are_no_numbers_do_no_harm():
    x, offset, mask, weight, bias = inputs()
    offset[0, 3, 4, 5] = float("nan")
    offset[0, 4, 4, 5] = float("inf")
    result = sampled_deform_conv2d(x, offset, mask, weight, bias)
    assert result[0, :, 4, 5].isnan().all()
    assert result[1].isfinite().all()


def test_gradients_equal_those_of_the_op():
    args = [arg.requires_grad_(True) for arg in inputs(dtype=torch.float64)]
    ours = torch.autograd.grad(sampled_deform_conv2d(*args).square().sum(), args)
    theirs = torch.autograd.grad(through_op(*args).square().sum(), args)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


# ---------------------------------------------------------------- which form is used


def test_training_goes_through_the_op_and_the_cpu_samples_otherwise(asked):
    args = inputs()
    trained = deform_conv2d(*args)
    assert len(asked) == 1
    with torch.no_grad():
        sampled = deform_conv2d(*args)
    assert len(asked) == 1
    torch.testing.assert_close(sampled, trained, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("sample_bytes", [1, 40_000, 10**9])
def test_the_op_in_bands_of_rows(asked, monkeypatch, kernel, sample_bytes):
    """What accelerators do without gradients."""
    args = inputs(kernel, size_hw=(19, 23))
    monkeypatch.setattr(module, "_OP_SAMPLE_BYTES", sample_bytes)
    with torch.no_grad():
        result = module._op(*args)
    rows = {call[1].shape[-2] for call in asked}
    torch.testing.assert_close(result, through_op(*args), rtol=0, atol=5e-5)
    if kernel > 1 and sample_bytes == 1:
        assert max(rows) <= kernel - 1
    if kernel == 1 or sample_bytes > 10**6:
        assert rows == {19}


def test_accelerators_ask_for_the_op():
    with torch.no_grad():
        assert module._prefers_op(torch.empty(1, device="meta"))


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("Could not run 'torchvision::deform_conv2d' with arguments from 'MPS'"),
        RuntimeError("\"deformable_im2col\" not implemented for 'BFloat16'"),
        RuntimeError("Couldn't load custom C++ ops. This can happen if versions do not fit."),
        AttributeError("no attribute 'deform_conv2d'"),
        ImportError("No module named 'torchvision'"),
    ],
)
def test_a_missing_op_is_replaced_and_asked_for_once(monkeypatch, error):
    args = inputs()
    expected = through_op(*args)
    calls = fail_with(monkeypatch, error)
    for _ in range(3):
        torch.testing.assert_close(deform_conv2d(*args), expected, rtol=0, atol=1e-4)
    assert len(calls) == 1
    deform_conv2d(*[arg.double() for arg in args])
    assert len(calls) == 2  # another dtype


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shapes do not fit"), torch.cuda.OutOfMemoryError("CUDA out of memory.")],
)
def test_other_errors_pass(monkeypatch, error):
    fail_with(monkeypatch, error)
    with pytest.raises(type(error), match=str(error)):
        deform_conv2d(*inputs())


def test_a_missing_embedding_bag_is_replaced(monkeypatch):
    args = inputs(7)
    expected = through_op(*args)

    def fail(*args, **kwargs):
        raise NotImplementedError("aten::_embedding_bag is not implemented for this device")

    monkeypatch.setattr(module, "_bags", fail)
    torch.testing.assert_close(sampled_deform_conv2d(*args), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("grad", [False, True])
def test_half_precision_samples_in_float32(dtype, grad):
    args = [arg.to(dtype) for arg in inputs(size_hw=(40, 200), reach=30.0)]
    expected = through_op(*[arg.float() for arg in args])
    with torch.set_grad_enabled(grad):
        result = deform_conv2d(*args)
    assert result.dtype == dtype
    spread = expected.std()
    assert ((result.float() - expected).abs().max() / spread).item() < 0.05
