"""The random weights and inputs with which the recorded results of BiRefNet were made."""

from __future__ import annotations

import json
import zlib
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

DATA = Path(__file__).resolve().parents[1] / "data"
TINY = {
    "dim": 16, "depths": (2, 2, 4, 2), "heads": (1, 2, 4, 8), "window": 4,
    "inner": 8, "branch": 16, "image_inner": 8,
}  # fmt: skip
PICTURES = {"A": (1, (1, 3, 192, 256)), "B": (2, (1, 3, 160, 96)), "C": (3, (2, 3, 128, 128))}


@cache
def recorded():
    return load_file(DATA / "birefnet.safetensors")


@cache
def published_keys():
    return json.loads((DATA / "birefnet_keys.json").read_text("utf-8"))


def empty_state(name: str):
    """State dict of a published file, without values."""
    return {
        key: torch.empty(
            [int(size) for size in shape[1:].split("x") if size],
            dtype=torch.int64 if shape[0] == "i" else torch.float32,
            device="meta",
        )
        for key, shape in published_keys()[name].items()
    }


def uniform(seed, shape, low=-2.0, high=2.0):
    values = np.random.RandomState(seed).uniform(low, high, shape)
    return torch.from_numpy(values.astype(np.float32))


def _values(key, shape, seed, offset_gain):
    chance = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF)
    if key.endswith("running_var"):
        return chance.uniform(0.5, 1.5, shape)
    noise = chance.standard_normal(shape)
    if key.endswith("running_mean"):
        return 0.2 * noise
    if key.endswith("relative_position_bias_table"):
        return 0.5 * noise
    if key.endswith(".bias"):
        return noise * (0.5 if "offset_conv" in key else 0.3 if "modulator_conv" in key else 0.1)
    if len(shape) == 1:
        return 1 + 0.1 * noise
    return noise * ((offset_gain if "offset_conv" in key else 1) / np.sqrt(prod(shape[1:])))


def random_state(like, seed, offset_gain=1.5):
    """Values for the floating-point tensors of a state dict."""
    return {
        key: torch.from_numpy(
            np.asarray(_values(key, tuple(tensor.shape), seed, offset_gain), dtype=np.float32)
        )
        for key, tensor in like.items()
        if tensor.is_floating_point()
    }


def filled(module, seed, offset_gain=1.5):
    """The module with random values, for inference."""
    module.load_state_dict(random_state(module.state_dict(), seed, offset_gain), strict=False)
    return module.requires_grad_(False).train(False)


@cache
def tiny_state():
    from toonout_core.models.birefnet import BiRefNet

    with torch.device("meta"):
        names = BiRefNet(**TINY).state_dict()
    return random_state(names, 20260801)


def tiny_network():
    from toonout_core.models.birefnet import ARCHITECTURE

    return ARCHITECTURE.load({key: value.clone() for key, value in tiny_state().items()})


def tiny_picture(name):
    return uniform(*PICTURES[name])
