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
SEEN = {"frames": [], "networks": [], "connections": [], "evaluations": [], "compared": []}
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
            "evaluations": SEEN["evaluations"],
            "compared": SEEN["compared"],
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


class WatchSampler(io.ComfyNode):
    """Diffusion model → the same model; each of its evaluations is noted."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Probe_WatchSampler",
            inputs=[io.Model.Input("model")],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model):
        model = model.clone()
        model.set_model_unet_function_wrapper(_noted)
        return io.NodeOutput(model)


def _noted(evaluate, given):
    extra = given["c"]
    positive = [place for place, kind in enumerate(given["cond_or_uncond"]) if kind == 0]
    embeddings = extra["c_crossattn"].chunk(len(given["cond_or_uncond"]))
    prompt = embeddings[positive[0]] if positive else torch.zeros(1)  # several come in portions
    SEEN["evaluations"].append(
        {
            "sigma": float(given["timestep"][0]),
            "latent_hw": list(given["input"].shape[-2:]),
            "prompt": float(prompt.double().abs().sum()),
            "control": extra.get("control") is not None,
            "positives": given["cond_or_uncond"].count(0),
        }
    )
    return evaluate(given["input"], given["timestep"], **extra)


class SegsOfPack(io.ComfyNode):
    """Another pack's SEGS, read as the Impact Pack reads them: by attribute, and made anew."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Probe_Segs",
            inputs=[io.Custom("SEGS").Input("segs"), io.Image.Input("image")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, segs, image):
        (height, width), parts = segs
        assert tuple(image.shape[1:3]) == (height, width)
        canvas = image.clone()
        for seg in parts:
            left, top, right, bottom = seg.crop_region
            assert seg.cropped_mask.shape == (bottom - top, right - left)
            mask = torch.from_numpy(seg.cropped_mask)[..., None]
            region = canvas[:, top:bottom, left:right, :3]
            canvas[:, top:bottom, left:right, :3] = region * (1 - mask) + (1 - region) * mask
            seg._replace(label="seen")
        return io.NodeOutput(canvas)


class Compare(io.ComfyNode):
    """How two pictures differ where a mask is black, and where it is white."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Probe_Compare",
            inputs=[
                io.Image.Input("before"),
                io.Image.Input("after"),
                io.Mask.Input("mask"),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, before, after, mask):
        same = (before == after).all(-1)
        black, white = mask == 0, mask > 0.9
        SEEN["compared"].append(
            {
                "sizes": [list(before.shape), list(after.shape)],
                "black_px": int(black.sum()),
                "black_changed_px": int((black & ~same).sum()),
                "white_px": int(white.sum()),
                "white_changed_px": int((white & ~same).sum()),
            }
        )
        return io.NodeOutput()


class Extension(ComfyExtension):
    async def get_node_list(self):
        return [Watch, Frames, Denormalise, WatchSampler, SegsOfPack, Compare]


async def comfy_entrypoint():
    return Extension()
