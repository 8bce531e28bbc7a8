"""Draw the edges of a coarse matte anew, part by part: the built-in model's head for detail."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .host import Host
from .inference import Inference
from .loading import share_network

MODEL = "toonout-mini"  # comes with ToonOut, so that detail needs no download
SIDE_PX = 512  # of a part; the head was trained on smaller ones


class EdgeDrawer:
    """Takes a part of a picture and its coarse alpha, and says where edges really are."""

    def __init__(self, host: Host, model: str = MODEL) -> None:
        self.inference = Inference(share_network(model, host, download=False), host)

    def draw(self, image: Tensor, coarse: Tensor) -> Tensor:
        """1×3×H×W and alpha 1×1×H×W in [0, 1] → alpha 1×1×H×W. No side is above `SIDE_PX`."""
        loaded = self.inference.loaded
        height, width = (int(side) for side in image.shape[-2:])
        unit = loaded.architecture.multiple_of
        beside = (0, -width % unit, 0, -height % unit)
        image, seen = (functional.pad(planes, beside, mode="replicate")
                       for planes in (loaded.input.normalise(image), coarse))  # fmt: skip
        found = torch.empty_like(coarse)

        def work(_: slice, device: torch.device) -> None:
            logits = self.inference.ask(
                lambda network, dtype: network(
                    image.to(device, dtype), coarse=seen.to(device, dtype)
                ),
                device,
            )
            found.copy_(logits[..., :height, :width].float().sigmoid())

        pixels = int(image.shape[-2]) * int(image.shape[-1])
        self.inference.run(
            1, 1, work, lambda count: count * pixels * loaded.architecture.bytes_per_pixel,
            of=("edges", SIDE_PX), advice="Leave detail out, or run on the CPU.",
        )  # fmt: skip
        return found
