"""The networks, and how to tell from a state dict which of them it belongs to."""

from __future__ import annotations

from ..errors import CorruptWeights
from . import birefnet, isnet, lite_unet, rtmdet_ins, unet, yolov8_seg
from .architecture import Architecture, StateDict, examples, strip_prefixes

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "StateDict",
    "recognise",
    "strip_prefixes",
]

# most specific first
ARCHITECTURES: tuple[Architecture, ...] = (
    birefnet.ARCHITECTURE,
    birefnet.ARCHITECTURE_EP480,
    isnet.ARCHITECTURE,
    isnet.ARCHITECTURE_REFINER,
    rtmdet_ins.ARCHITECTURE,
    yolov8_seg.ARCHITECTURE,
    lite_unet.ARCHITECTURE,
    unet.ARCHITECTURE,
)

# what users drop into the wrong folder: beginning of a key, and what it betrays
_FOREIGN = (
    ("model.diffusion_model.", "a Stable Diffusion checkpoint"),
    ("diffusion_model.", "a diffusion model"),
    ("double_blocks.", "a diffusion model"),
    ("transformer_blocks.", "a diffusion model"),
    ("lora_", "a LoRA"),
    ("first_stage_model.", "a VAE"),
    ("text_model.", "a text encoder"),
    ("encoder.down.", "a VAE"),
    ("stage1.rebnconvin.", "a U²-Net, or an IS-Net that is not whole"),
    ("image_encoder.", "a Segment Anything model"),
    ("bbox_head.", "a detector that is not RTMDet-Ins"),
    ("model.22.", "a YOLO that is not YOLOv8-seg"),
    ("control_model.", "a ControlNet"),
)

# what could be loaded in kind, but must not be: keys of each network, all present
_NON_COMMERCIAL = (
    ("netImageOne.netMain.0.weight", "netImageTwo.netMain.0.weight"),  # depth refinement
    ("netContext.0.weight", "netInput.netMain.0.weight"),  # inpainting
    ("netImage.weight", "netSemantics.weight"),  # disparity
)


def recognise(state: StateDict) -> Architecture:
    """Return the architecture whose keys `state` has; they must be free of wrapper prefixes."""
    if any(all(key in state for key in keys) for keys in _NON_COMMERCIAL):
        raise CorruptWeights(
            "The weights must be free for every use, but are those of 3D Ken Burns, which their "
            "author licenses for non-commercial use only (CC BY-NC-SA). This package does not run "
            "them: connect the depth or the inpainted picture of another model instead."
        )
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
