"""A third extension in a real Forge: its manager of memory, with a graphics card made up.

Copied into the host's extensions by test_forge.py; not collected by pytest.
"""

import sys
from types import SimpleNamespace
from unittest import mock

import torch
from backend import memory_management as memory
from modules import script_callbacks

CARD = torch.device("cuda")


class Network(torch.nn.Module):
    """Only says where it goes."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1000))
        self.places = []

    def to(self, device):
        self.places.append(torch.device(device).type)
        return self


class Checkpoint:
    """What Forge has loaded before."""

    def __init__(self):
        self.device, self.unloaded = CARD, 0
        self.model = SimpleNamespace(model=self)

    def model_unload(self, avoid_model_moving=False):
        self.unloaded += 1


def run(free_mb: int, keep: bool):
    host = sys.modules["toonout_extension.toonout_webui.host"]
    hosts = sys.modules["toonout_extension.toonout_webui.hosts"]
    network, loaded = Network(), Checkpoint()
    held = loaded.model  # Forge drops what nobody holds
    free = free_mb * 1_000_000

    def free_memory(dev=None, torch_free_too=False):
        return (free, 0) if torch_free_too else free

    def option(key, default):
        return keep if key == "toonout_keep_in_vram" else default

    with (
        mock.patch.object(memory, "current_loaded_models", [loaded]),
        mock.patch.object(memory, "get_torch_device", lambda: CARD),
        mock.patch.object(memory, "get_free_memory", free_memory),
        mock.patch.object(memory, "soft_empty_cache", lambda *_: None),
        mock.patch.object(hosts, "option", option),
        host.WebUIHost().on_device(network, 100_000_000) as device,
    ):
        inside = list(network.places)
    assert held is loaded.model
    return {
        "device": device.type, "unloaded": loaded.unloaded, "inside": inside,
        "after": network.places,
    }  # fmt: skip


def on_app_started(demo, app):
    app.add_api_route("/toonout-test/card", run, methods=["GET"])


script_callbacks.on_app_started(on_app_started)
