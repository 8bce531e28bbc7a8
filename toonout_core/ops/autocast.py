"""Whether autocast is on: PyTorch before 2.4 asks this in another way for each kind of device."""

from __future__ import annotations

import torch


def autocasts(device_type: str) -> bool:
    """Return whether autocast is on here for devices of that type, such as "cpu" or "cuda"."""
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:  # it took no arguments, and meant CUDA
        if device_type == "cpu":
            return torch.is_autocast_cpu_enabled()
        return device_type == "cuda" and torch.is_autocast_enabled()
