"""Scenes whose foreground, background and alpha are known, and plain formulas to compare with."""

import cv2
import numpy as np
import torch


def planes(array):
    """H×W×C or H×W → 1×C×H×W."""
    array = np.ascontiguousarray(array, dtype=np.float32)
    array = array[..., None] if array.ndim == 2 else array
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def clouds(rng, size_px, cells, low, high):
    """Soft patches of colour between two colours."""
    patches = rng.uniform(low, high, (cells, cells, 3)).astype(np.float32)
    large = cv2.resize(patches, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return planes(large.clip(0, 1))


def hairy_alpha(rng, size_px):
    """A soft disc with strands that end before the border."""
    side = 4 * size_px
    mask = np.zeros((side, side), np.uint8)
    cv2.circle(mask, (side // 2, side // 2), side // 4, 255, -1)
    for _ in range(40):
        turn, reach = rng.uniform(0, 2 * np.pi), side * rng.uniform(0.3, 0.45)
        tip = (int(side / 2 + np.cos(turn) * reach), int(side / 2 + np.sin(turn) * reach))
        cv2.line(mask, (side // 2, side // 2), tip, 255, int(rng.integers(6, 16)))
    small = cv2.resize(mask, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return planes(cv2.GaussianBlur(small.astype(np.float32) / 255, (0, 0), 1.5))


def warm_character_on_blue(seed, size_px=256):
    """F, B and α."""
    rng = np.random.default_rng(seed)
    foreground = clouds(rng, size_px, 3, (0.75, 0.45, 0.3), (1.0, 0.85, 0.7))
    background = clouds(rng, size_px, 5, (0.0, 0.1, 0.2), (0.25, 0.4, 0.6))
    return foreground, background, hairy_alpha(rng, size_px)


def mirrored(length, before, after):
    """Pixel positions under REFLECT_101, by walking to and fro."""
    walk = [*range(length), *range(length - 2, 0, -1)] or [0]
    return [walk[index % len(walk)] for index in range(-before, length + after)]


def box_mean(array, size_px):
    """H×W×C float64, by plain sums over mirrored copies."""
    for axis in (0, 1):
        length = array.shape[axis]
        where = mirrored(length, size_px // 2, size_px - 1 - size_px // 2)
        wide = np.take(array, where, axis)
        pieces = [np.take(wide, range(i, i + length), axis) for i in range(size_px)]
        array = np.mean(pieces, axis=0)
    return array


def fusion_formula(image, alpha, sizes):
    """Blur fusion as published, float64, H×W×3 and H×W×1."""
    foreground = background = image
    for size in sizes:
        mean_a = box_mean(alpha, size)
        mean_f = box_mean(foreground * alpha, size) / (mean_a + 1e-5)
        background = box_mean(background * (1 - alpha), size) / ((1 - mean_a) + 1e-5)
        missing = image - alpha * mean_f - (1 - alpha) * background
        foreground = np.clip(mean_f + alpha * missing, 0, 1)
    return foreground
