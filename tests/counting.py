"""How often a file is read and a network is run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module


@dataclass
class Work:
    loads: int = 0
    inferences: int = 0


def count_work(monkeypatch, core: str = "toonout_core") -> Work:
    """Of U-Nets, from now on; `core`: the package's name within its host."""
    work = Work()
    loading = import_module(f"{core}.loading")
    unet = import_module(f"{core}.models.unet.unet").UNet
    read_state, forward = loading.read_state, unet.forward

    def reading(path):
        work.loads += 1
        return read_state(path)

    def running(self, image):
        work.inferences += 1
        return forward(self, image)

    monkeypatch.setattr(loading, "read_state", reading)
    monkeypatch.setattr(unet, "forward", running)
    return work
