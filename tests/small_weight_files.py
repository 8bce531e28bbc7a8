"""Weight files of tiny networks, and rows of the table for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from toonout_core import weights
from toonout_core.models.unet import UNet
from toonout_core.weight_files import locating

TINY_BIREFNET = {
    "dim": 4,
    "depths": (1, 1, 1, 1),
    "heads": (1, 1, 1, 1),
    "window": 3,
    "inner": 4,
    "branch": 4,
    "image_inner": 4,
}


def unet(**changes) -> UNet:
    return UNet(**{"widths": (4, 8), "patch": 2, "separable": True} | changes).train(False)


def logits(network: torch.nn.Module) -> torch.Tensor:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        return network(image)


def write(network: torch.nn.Module, path: Path, dtype=torch.float32, **metadata: str) -> Path:
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in cloned(network).items()}
    if path.suffix == ".safetensors":
        save_file(state, path, {"format": "pt", **metadata})
    else:
        torch.save(state, path)
    return path


def cloned(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def published(path: Path, **changes) -> weights.Weights:
    """A row for the file at `path`, as if it lay on the hub."""
    mini = weights.WEIGHTS[0]
    import hashlib

    return replace(
        mini,
        name="published",
        repo="owner/name",
        file=path.name,
        revision="c" * 40,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        size_is_exact=True,
        **({"architecture": "unet", "input": replace(mini.input, size_hw=(96, 64))} | changes),
    )


def set_table(monkeypatch, *rows: weights.Weights) -> None:
    for module in (weights, locating):
        monkeypatch.setattr(module, "WEIGHTS", rows)
