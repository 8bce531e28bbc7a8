"""Test nodes that look into a running ComfyUI: what a model was fed, and whether it still lives."""

from __future__ import annotations

import gc
import resource
import socket
import weakref

import comfy.model_management as management
import torch
from aiohttp import web
from comfy_api.latest import ComfyExtension, io
from server import PromptServer

Model = io.Custom("BACKGROUND_REMOVAL")
SEEN = {"frames": [], "networks": [], "connections": []}
_connect = socket.socket.connect


def _watched_connect(self, address):
    if not isinstance(address, tuple) or address[0] not in ("127.0.0.1", "::1", "localhost"):
        SEEN["connections"].append(str(address))
    return _connect(self, address)


socket.socket.connect = _watched_connect


class Watch(io.ComfyNode):
    """Model → the same model; how many frames its network gets at a time is counted."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Probe_Watch", inputs=[Model.Input("model")], outputs=[Model.Output()]
        )

    @classmethod
    def execute(cls, model):
        network = model.matting.loaded.network
        SEEN["networks"].append(weakref.ref(network))
        network.register_forward_pre_hook(lambda _, given: SEEN["frames"].append(len(given[0])))
        return io.NodeOutput(model)


@PromptServer.instance.routes.get("/toonout_probe")
async def report(_):
    """What is known now. Not a node: another prompt would empty ComfyUI's cache of outputs."""
    gc.collect()
    return web.json_response(
        {
            "frames": SEEN["frames"],
            "connections": SEEN["connections"],
            "alive": sum(network() is not None for network in SEEN["networks"]),
            "loaded": [type(it.model.model).__name__ for it in management.current_loaded_models],
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )


class Frames(io.ComfyNode):
    """A clip of squares that move, light on dark."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Probe_Frames",
            inputs=[
                io.Int.Input("count", default=4, min=1, max=10000),
                io.Int.Input("side", default=64, min=8, max=4096),
                io.Boolean.Input("alpha", default=False),
            ],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def execute(cls, count, side, alpha):
        clip = torch.full((count, side, side, 3), 40 / 255)
        for i in range(count):
            left = i % (side // 2)
            clip[i, side // 4 : 3 * side // 4, left : left + side // 2] = 230 / 255
        mask = (clip[..., 0] > 0.5).float()
        if alpha:
            levels = torch.tensor([0, 1, 64, 128, 254, 255]) / 255
            mask = levels[torch.arange(side) % 6].expand(count, side, side).clone()
            clip = torch.cat((clip, mask[..., None]), -1)
        return io.NodeOutput(clip, mask)


class Denormalise(io.ComfyNode):
    """A picture that ImageNet's normalisation turns back into the one that came in."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Probe_Denormalise",
            inputs=[io.Image.Input("image")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image):
        mean = torch.tensor((0.485, 0.456, 0.406))
        return io.NodeOutput(image * torch.tensor((0.229, 0.224, 0.225)) + mean)


class Extension(ComfyExtension):
    async def get_node_list(self):
        return [Watch, Frames, Denormalise]


async def comfy_entrypoint():
    return Extension()
