"""How often a file is read and a network is run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module


@dataclass
class Work:
    loads: int = 0
    inferences: int = 0


def count_work(monkeypatch, core: str = "toonout_core") -> Work:
    """Of U-Nets of both kinds, from now on; `core`: the package's name within its host."""
    work = Work()
    loading = import_module(f"{core}.loading")
    read_state = loading.read_state

    def reading(path, *, again=False):
        work.loads += not again
        return read_state(path, again=again)

    def counted(forward):
        def running(self, *image, **asked):
            work.inferences += 1
            return forward(self, *image, **asked)

        return running

    monkeypatch.setattr(loading, "read_state", reading)
    for home, name in (("unet.unet", "UNet"), ("lite_unet.lite_unet", "LiteUNet")):
        network = getattr(import_module(f"{core}.models.{home}"), name)
        monkeypatch.setattr(network, "forward", counted(network.forward))
    return work
