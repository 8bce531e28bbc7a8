"""Recorded results: small ones beside the tests, all of them where TOONOUT_SHARED says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

Tensors = dict[str, torch.Tensor]
DATA = Path(__file__).parent / "data"


def read_tensors(path: Path) -> Tensors:
    """Copies: kernels compute otherwise, by an ulp, with the unaligned tensors of a mapped file."""
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118


def local(name: str) -> Tensors:
    return read_tensors(DATA / name)


def shared_file(name: str) -> Path:
    """A file of the instance half; skips the test where it is not."""
    folder = os.environ.get("TOONOUT_SHARED")
    if not folder:
        pytest.skip("needs TOONOUT_SHARED, the folder of all recorded results")
    return Path(folder) / "parity" / "instances" / name


def shared(name: str) -> Tensors:
    return read_tensors(shared_file(name))


def unpack(bits: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """N×⌈HW/8⌉ uint8 as numpy.packbits makes them → N×H×W bool."""
    flat = np.unpackbits(bits.numpy(), axis=1)[:, : size_hw[0] * size_hw[1]]
    return torch.from_numpy(flat.reshape(-1, *size_hw).astype(bool))


def from_uint8(picture: torch.Tensor, *, bgr: bool = False) -> torch.Tensor:
    """H×W×3 uint8 → 1×3×H×W RGB in [0, 1]."""
    image = picture.permute(2, 0, 1)[None].to(torch.float32) / 255
    return image.flip(1) if bgr else image


def boxes_from_xywh(boxes: torch.Tensor) -> torch.Tensor:
    return torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1).to(torch.int64)
