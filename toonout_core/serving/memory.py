"""Whether a device has room for what is asked of it, before it is tried."""

from __future__ import annotations

import importlib
import importlib.util
from math import isqrt

import torch

from ..errors import BadInput
from ..matting import Matting

STEP_PX = 32


def room(device: torch.device) -> int | None:
    """Bytes that work on `device` may take at most; None where nothing tells it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])  # all of it: the host makes room
    if importlib.util.find_spec("psutil") is None:
        return None
    memory = importlib.import_module("psutil").virtual_memory()
    return int(memory.available if device.type == "cpu" else memory.total)


def require_room(matting: Matting, resolution: int, device: torch.device) -> None:
    """BadInput for a resolution at which the network needs more than the device has."""
    there = room(device) if resolution else None
    if there is None:
        return
    loaded = matting.loaded
    per_pixel = loaded.architecture.bytes_per_pixel * loaded.dtype.itemsize / 4
    height, width = matting.size_hw(resolution)
    if height * width * per_pixel > there:
        most = isqrt(int(there / per_pixel)) // STEP_PX * STEP_PX
        raise BadInput(
            f"resolution must be at most {most} for {matting.name} on this device ({device})",
            str(resolution),
            "0 is the model's own size.",
        )
