"""The networks, and which of them a state dict belongs to."""

from __future__ import annotations

from ..errors import CorruptWeights
from . import birefnet, unet
from .architecture import Architecture, PatchOrder, StateDict, examples, strip_prefixes

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "PatchOrder",
    "StateDict",
    "recognise",
    "strip_prefixes",
]

# most specific first
ARCHITECTURES: tuple[Architecture, ...] = (
    birefnet.ARCHITECTURE,
    birefnet.ARCHITECTURE_EP480,
    unet.ARCHITECTURE,
)

# what people drop into the wrong folder: beginning of a key, and what it betrays
_FOREIGN = (
    ("model.diffusion_model.", "a Stable Diffusion checkpoint"),
    ("diffusion_model.", "a diffusion model"),
    ("double_blocks.", "a diffusion model"),
    ("transformer_blocks.", "a diffusion model"),
    ("lora_", "a LoRA"),
    ("first_stage_model.", "a VAE"),
    ("text_model.", "a text encoder"),
    ("encoder.down.", "a VAE"),
    ("stage1.rebnconvin.", "an IS-Net or U²-Net (RMBG-1.4, isnet-anime, u2net)"),
    ("image_encoder.", "a Segment Anything model"),
    ("bbox_head.", "an instance detector"),
    ("model.22.", "a YOLO detector"),
    ("control_model.", "a ControlNet"),
)


def recognise(state: StateDict) -> Architecture:
    """The architecture whose keys `state` has; its keys must be free of wrapper prefixes."""
    for architecture in ARCHITECTURES:
        if architecture.matches(state):
            return architecture
    known = ", ".join(architecture.id for architecture in ARCHITECTURES)
    raise CorruptWeights(
        f"The weights must belong to one of {known}, but are {_describe(state)}. "
        "Choose another file, or get this one again if it should be one of them."
    )


def _describe(state: StateDict) -> str:
    if not state:
        return "empty"
    for beginning, name in _FOREIGN:
        if any(key.startswith(beginning) for key in state):
            return f"those of {name}"
    return f"{len(state)} tensors of an unknown network ({examples(state)})"
