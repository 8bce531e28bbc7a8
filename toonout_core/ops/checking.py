"""Check what every function takes: float planes B×C×H×W in [0, 1]."""

from __future__ import annotations

from torch import Tensor

from ..errors import BadInput

# resampling with negative weights overshoots by this much at hard edges
OVERSHOOT = 0.25


def unit_planes(planes: Tensor, name: str, channels: int) -> Tensor:
    """Return `planes` themselves, or clamped to [0, 1] where resampling overshot.

    Raises BadInput for another shape, whole numbers, NaN, infinity, and values that are clearly of
    another range.
    """
    if planes.ndim != 4 or planes.shape[1] != channels or 0 in planes.shape[1:]:
        layout = f"B×{channels}×H×W"
        raise BadInput(f"{name} must be {layout}", f"shape {tuple(planes.shape)}")
    if not planes.is_floating_point():
        advice = "Divide the levels of an 8-bit picture by 255."
        raise BadInput(f"{name} must be of floats in [0, 1]", str(planes.dtype), advice)
    if not planes.numel():
        return planes
    low, high = (float(end) for end in planes.detach().aminmax())  # NaN if there is one
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        finite = low - low == high - high == 0
        got = f"values from {low:g} to {high:g}" if finite else "NaN or infinity"
        advice = "Scale them." if finite else "Look at what made the picture."
        raise BadInput(f"{name} must have numbers in [0, 1]", got, advice)
    return planes if low >= 0 and high <= 1 else planes.clamp(0, 1)
