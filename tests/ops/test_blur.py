"""Box and Gaussian blur against OpenCV, plain sums and recorded results."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.drawing import box_mean, mirrored, planes
from toonout_core.errors import BadInput
from toonout_core.ops import blur

BOXES = [blur.box_blur_cpu, blur.box_blur_torch]
GAUSSIANS = [blur.gaussian_blur_cpu, blur.gaussian_blur_torch]


@pytest.mark.parametrize("box", BOXES)
@given(
    size_hw=st.tuples(st.integers(1, 23), st.integers(1, 23)),
    size_px=st.integers(2, 60),
    seed=st.integers(0, 99),
)
def test_boxes_are_means_over_mirrored_pixels(box, size_hw, size_px, seed):
    x = np.random.default_rng(seed).random((*size_hw, 2))
    result = box(planes(x), size_px)
    assert result.shape == (1, 2, *size_hw)
    assert np.abs(result[0].permute(1, 2, 0).numpy() - box_mean(x, size_px)).max() < 1e-6


@pytest.mark.parametrize("box", BOXES)
def test_a_big_box_equals_opencv_at_2048(box):
    """Planes here, interleaved colours there; running sums here, doubled windows in torch."""
    x = np.random.default_rng(0).random((2048, 2048, 1), dtype=np.float32)
    expected = cv2.blur(x.astype(np.float64), (90, 90))
    assert np.abs(box(planes(x), 90)[0, 0].numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(
    ("tag", "size_px"), [("small", 90), ("small", 7), ("small", 6), ("odd", 90)]
)
def test_boxes_equal_recorded_ones(box, tag, size_px, fusion_goldens):
    alpha = planes(fusion_goldens[f"{tag}.alpha"].astype(np.float32) / 255)
    result = box(alpha, size_px)[0, 0].numpy()
    assert np.abs(result - fusion_goldens[f"{tag}.blur_alpha_r{size_px}"]).max() < 1e-6


@pytest.mark.parametrize("box", BOXES)
def test_tiny_means_keep_their_digits(box):
    """A sum that runs over large values first would lose them."""
    x = torch.ones(1, 1, 64, 400)
    x[..., 200:] = 1e-6
    assert torch.allclose(box(x, 50)[..., 240:], torch.tensor(1e-6), rtol=1e-4, atol=0)


@pytest.mark.parametrize("gaussian", GAUSSIANS)
@given(
    size_hw=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    sigma_px=st.floats(0.1, 9),
    seed=st.integers(0, 99),
)
def test_gaussians_are_weighted_sums_over_mirrored_pixels(gaussian, size_hw, sigma_px, seed):
    x = np.random.default_rng(seed).random(size_hw)
    reach = int(np.ceil(3 * sigma_px))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    weights /= weights.sum()
    wide = x[np.ix_(mirrored(size_hw[0], reach, reach), mirrored(size_hw[1], reach, reach))]
    windows = np.lib.stride_tricks.sliding_window_view(wide, (len(weights),) * 2)
    expected = np.einsum("ijkl,k,l->ij", windows, weights, weights)
    assert np.abs(gaussian(planes(x), sigma_px)[0, 0].numpy() - expected).max() < 2e-6


def test_both_gaussians_agree_on_a_wide_one():
    x = torch.rand(2, 1, 60, 70)
    assert (blur.gaussian_blur_cpu(x, 30) - blur.gaussian_blur_torch(x, 30)).abs().max() < 2e-6


def test_threads_work_on_views_of_any_stride(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    x = torch.rand(2, 40, 30, 3).permute(0, 3, 1, 2)
    assert (blur.box_blur(x, 9) - blur.box_blur_torch(x, 9)).abs().max() < 1e-6
    assert torch.equal(blur.box_blur(x[..., 3:20], 9), blur.box_blur(x[..., 3:20].clone(), 9))


def test_a_failing_task_is_not_swallowed(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        blur.run_parallel(lambda number: 1 // number, [(1,), (0,), (2,)])


def test_sizes_without_effect():
    x = torch.rand(1, 1, 5, 5)
    assert torch.equal(blur.box_blur(x, 1), x)
    assert torch.equal(blur.gaussian_blur(x, 0), x)


def test_half_precision_is_taken():
    x = torch.rand(1, 1, 16, 16).half()
    assert torch.equal(blur.box_blur(x, 4), blur.box_blur(x.float(), 4))


@pytest.mark.parametrize(
    "call", [lambda x: blur.box_blur(x, 0), lambda x: blur.gaussian_blur(x, -1)]
)
def test_senseless_sizes_give_a_sentence(call):
    with pytest.raises(BadInput, match="must"):
        call(torch.rand(1, 1, 4, 4))
