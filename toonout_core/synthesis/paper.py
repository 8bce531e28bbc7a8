"""Make paper to draw on: white, cream, ruled, squared, crumpled, scanned or photographed."""

from __future__ import annotations

import numpy as np

from ..words import Array

Generator = np.random.Generator


def paper(rng: Generator, size_px: int) -> Array:
    """Make a sheet that fills the canvas, size×size×3 float32 in [0, 255]."""
    sheet = np.broadcast_to(_tone(rng), (size_px, size_px, 3)).copy()
    if rng.random() < 0.2:
        sheet *= _ruling(rng, size_px)
    if rng.random() < 0.3:
        sheet *= _creases(rng, size_px)
    if rng.random() < 0.45:
        sheet *= uneven_light(rng, size_px)
    if rng.random() < 0.5:
        sheet += rng.normal(0, rng.uniform(0.5, 5), (size_px, size_px, 1)).astype(np.float32)
    return sheet.clip(0, 255).astype(np.float32)


def smooth_noise(rng: Generator, size_px: int, cells: int) -> Array:
    """Make waves of size/cells, size×size×1 float32 of mean 0 and standard deviation about 1."""
    from ..opencv import cv2

    knots = rng.normal(0, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(knots, (size_px, size_px), interpolation=cv2.INTER_CUBIC)[..., None]


def uneven_light(rng: Generator, size_px: int) -> Array:
    """Make factors of a lamp at one side and of shadows, size×size×1 float32, at most about 1."""
    turn, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.45)
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px - 0.5
    ramp = 0.5 + x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
    light = 1 - np.float32(depth) * ramp.clip(0, 1)[..., None]
    waves = smooth_noise(rng, size_px, int(rng.integers(2, 5)))
    return (light * (1 + np.float32(rng.uniform(0, 0.06)) * waves)).clip(0.3, 1.05)


def _tone(rng: Generator) -> Array:
    kind = rng.choice(4, p=(0.4, 0.25, 0.2, 0.15))
    if kind == 0:
        return np.full(3, 255, np.float32)
    if kind == 1:  # nearly white, as scanned
        return (rng.uniform(232, 254) + rng.uniform(-3, 3, 3)).astype(np.float32)
    if kind == 2:  # cream and kraft
        return (np.array((246, 236, 212)) * rng.uniform(0.72, 1.02)).astype(np.float32)
    return (rng.uniform(170, 240) + rng.uniform(-12, 12, 3)).astype(np.float32)


def _ruling(rng: Generator, size_px: int) -> Array:
    """Make factors of printed lines, one way or both."""
    factor = np.ones((size_px, size_px, 3), np.float32)
    ink = rng.uniform(0.55, 0.92, 3).astype(np.float32)
    step, first = rng.uniform(0.025, 0.09) * size_px, rng.uniform(0, 0.05) * size_px
    places = np.arange(first, size_px, step).astype(int)
    width = max(1, round(size_px / 400))
    for shift in range(width):
        factor[np.minimum(places + shift, size_px - 1)] = ink
        if step and width and rng.random() < 0.5 / width:
            factor[:, np.minimum(places + shift, size_px - 1)] = ink
    return factor


def _creases(rng: Generator, size_px: int) -> Array:
    """Shade a sheet that was crumpled: the slope of many folded planes."""
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    height = np.zeros((size_px, size_px), np.float32)
    for _ in range(int(rng.integers(4, 14))):
        turn, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
        side = (x - 0.5) * np.float32(np.cos(turn)) + (y - 0.5) * np.float32(np.sin(turn))
        height += np.abs(side - np.float32(shift)) * np.float32(rng.uniform(-1, 1))
    slope = height[:, 1:] - height[:, :-1]
    slope = np.pad(slope, ((0, 0), (0, 1)), mode="edge") * size_px
    slope /= max(float(np.abs(slope).max()), 1e-6)
    return 1 + np.float32(rng.uniform(0.03, 0.14)) * (slope[..., None] - 0.5)
