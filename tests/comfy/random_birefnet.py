"""A BiRefNet of ToonOut's size whose random numbers give a picture that depends on the input."""

from __future__ import annotations

import torch

from toonout_core.models.birefnet import BiRefNet

# at 1 the patches of the picture hardly count, and with them their order
PATCH_GAIN = 20


def random_state() -> dict[str, torch.Tensor]:
    """fp16, all 754 tensors of Swin-L."""
    torch.manual_seed(0)
    state = BiRefNet().state_dict()
    for key, value in state.items():
        if ".ipt_blk" in key and key.endswith("conv_out.weight"):
            value.mul_(PATCH_GAIN)
    return {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    }
