"""What ToonOut's training does to a picture and its alpha, in its order."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torchvision.transforms import functional as tv

from ..imaging import from_array, to_array

_TURN_DEG = (-15, 15)  # whole numbers, the last one excluded


def mirror(image: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Left to right."""
    return image.flip(-1), alpha.flip(-1)


def turn(image: Tensor, alpha: Tensor, angle_deg: float) -> tuple[Tensor, Tensor]:
    """Both about the middle, bicubic; what comes in from outside is black and transparent."""
    from ..opencv import cv2

    height, width = image.shape[-2:]
    # at the pixels' centres
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    planes = to_array(torch.cat((image, alpha), 1))[0]
    turned = cv2.warpAffine(planes, matrix, (int(width), int(height)), flags=cv2.INTER_CUBIC)
    both = from_array(turned)
    return both[:, :-1], both[:, -1:]


def enhance(image: Tensor, rng: Generator) -> Tensor:
    """Brightness and contrast × 0.5 … 1.5, colour × 0 … 2, sharpness × 0 … 3, in tenths."""
    brightness, contrast = rng.integers(5, 16, 2).tolist()
    colour, sharpness = int(rng.integers(0, 21)), int(rng.integers(0, 31))
    image = tv.adjust_brightness(image, brightness / 10)
    image = tv.adjust_contrast(image, contrast / 10)
    image = tv.adjust_saturation(image, colour / 10)
    return tv.adjust_sharpness(image, sharpness / 10).clamp(0, 1)


def pepper(image: Tensor, rng: Generator, share: float) -> Tensor:
    """A share of the pixels, all channels, black or white."""
    height, width = image.shape[-2:]
    count = int(share * height * width)
    places = torch.from_numpy(rng.integers(0, height * width, count))
    values = torch.from_numpy(rng.integers(0, 2, count).astype(np.float32))
    flat = image.flatten(2).clone()
    flat[..., places] = values
    return flat.view_as(image)


def augment(
    image: Tensor,
    alpha: Tensor,
    rng: Generator,
    *,
    flip: float,
    rotate: float,
    enhanced: bool,
    peppered: float,
) -> tuple[Tensor, Tensor]:
    """1×3×H×W and 1×1×H×W in [0, 1]; `flip` and `rotate` are chances, `peppered` a share."""
    if rng.random() < flip:
        image, alpha = mirror(image, alpha)
    if rng.random() < rotate:
        image, alpha = turn(image, alpha, float(rng.integers(*_TURN_DEG)))
    if enhanced:
        image = enhance(image, rng)
    if peppered:
        image = pepper(image, rng, peppered)
    return image, alpha
