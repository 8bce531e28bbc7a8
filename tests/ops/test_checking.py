"""What is taken for a picture."""

from __future__ import annotations

import math

import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.ops.checking import unit_planes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_pictures_pass_as_they_are(dtype):
    image = torch.rand(2, 3, 4, 5).to(dtype)
    assert unit_planes(image, "image", 3) is image


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 4, 5), (1, 3, 0, 5), (1, 3, 4, 0)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(BadInput, match="image must be B×3×H×W"):
        unit_planes(torch.zeros(shape), "image", 3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_are_refused(dtype):
    with pytest.raises(BadInput, match=r"floats in \[0, 1\], but got torch.*Divide"):
        unit_planes(torch.ones(1, 3, 4, 5).to(dtype), "image", 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_pixel_without_a_number_is_refused(value):
    image = torch.rand(1, 3, 64, 64)
    image[0, 1, 5, 7] = value
    with pytest.raises(BadInput, match="but got NaN or infinity"):
        unit_planes(image, "image", 3)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, 2)])
def test_other_ranges_are_refused(low, high):
    image = torch.linspace(low, high, 60).view(1, 3, 4, 5)
    with pytest.raises(BadInput, match=f"values from {low} to {high}"):
        unit_planes(image, "image", 3)


def test_overshoot_of_resampling_is_clamped():
    image = torch.tensor([-0.1, 0.5, 1.1]).view(1, 3, 1, 1)
    assert unit_planes(image, "image", 3).flatten().tolist() == [0.0, 0.5, 1.0]
    assert image.min() < 0  # not in place


def test_no_frames_are_a_picture_too():
    assert unit_planes(torch.zeros(0, 3, 4, 5), "image", 3).shape == (0, 3, 4, 5)
