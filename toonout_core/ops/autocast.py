"""Whether autocast is on, and whether the quicker ways of the CPU may be used.

PyTorch before 2.4 asks for autocast in another way for each kind of device.
"""

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


def plain_on_cpu(*tensors: torch.Tensor) -> bool:
    """Tell whether all are float32 on the CPU, and neither gradients nor autocast are wanted.

    Only then are the quicker ways of the CPU used.
    """
    return (
        not torch.is_grad_enabled()
        and not autocasts("cpu")
        and all(one.device.type == "cpu" and one.dtype == torch.float32 for one in tensors)
    )
