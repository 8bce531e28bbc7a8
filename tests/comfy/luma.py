"""A matting network whose answer is known beforehand: light pixels are character, dark ones not."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from toonout_core.models.unet import UNet

GAIN = 20.0


def luma_state() -> dict[str, torch.Tensor]:
    """logit = GAIN · mean of the normalised RGB, through two levels of a U-Net that pass it on."""
    network = UNet(widths=(2, 2))
    state = {key: torch.zeros_like(value) for key, value in network.state_dict().items()}
    state["stem.weight"][0, :, 1, 1] = 1 / 3
    state["stem.weight"][1, :, 1, 1] = -1 / 3
    for block in ("encoder.0", "encoder.1", "decoder.0"):
        for part in ("conv1", "conv2"):
            for channel in range(2):  # ReLU halves it: one channel holds light, one dark
                state[f"{block}.{part}.0.weight"][channel, channel, 1, 1] = 1
            state[f"{block}.{part}.1.weight"][:] = 1
            state[f"{block}.{part}.1.running_var"][:] = 1
    state["head.weight"][0, 0] = GAIN
    state["head.weight"][0, 1] = -GAIN
    return state


def write_luma_model(path: Path) -> Path:
    """As .safetensors, or as .pth with the prefixes of a compiled, distributed training."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = luma_state()
    if path.suffix == ".pth":
        torch.save({f"module._orig_mod.{key}": value for key, value in state.items()}, path)
    else:
        save_file(state, path)
    return path
