"""Write checkpoints of the shape of Stable Diffusion 1.5 with random numbers: what they draw is
noise, what graphs do with them is real.

cd COMFYUI_PATH && COMFYUI_PYTHON …/tests/comfy/random_checkpoint.py FOLDER KIND…

writes FOLDER/random-KIND.safetensors. One layer of blocks, and the tiny autoencoder; nearly all of
the 0.3 GB is the text encoder, which has but one size.
KIND: tiny; tiny-inpaint (for nine channels); tiny-control (a ControlNet for both, 30 MB).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
    "num_res_blocks": [1], "channel_mult": [1], "num_heads": 8, "use_spatial_transformer": True,
    "transformer_depth": [1], "transformer_depth_output": [1, 1], "transformer_depth_middle": 1,
    "context_dim": 768,
}  # fmt: skip
TEXT = "cond_stage_model.transformer."


def parts(kind: str) -> dict[str, Any]:
    """Networks without values, by the prefix of their tensors in a checkpoint."""
    import comfy.ops
    import torch
    from comfy.cldm.cldm import ControlNet
    from comfy.clip_model import CLIPTextModel
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
    from comfy.taesd.taesd import TAESD

    half = {
        "dtype": torch.float16, "device": "meta", "operations": comfy.ops.disable_weight_init
    }  # fmt: skip
    clip = json.loads(Path("comfy/sd1_clip_config.json").read_text("utf-8"))
    with torch.device("meta"):
        if kind == "tiny-control":
            shape = {key: value for key, value in UNET.items() if key != "out_channels"}
            return {"": ControlNet(hint_channels=3, **shape, **half)}
        channels = {"in_channels": 9 if kind == "tiny-inpaint" else 4}
        return {
            TEXT: CLIPTextModel(clip, **half),
            "model.diffusion_model.": UNetModel(**(UNET | channels), **half),
            "first_stage_model.": TAESD(),
        }


def values_like(key: str, like: Any, scale: float | None) -> Any:
    """Random weights of the given scale, or of one that keeps the strength of a signal; norms and
    biases, which have one dimension, leave it as it is."""
    import torch

    if like.ndim < 2:
        return torch.full(like.shape, float(key.endswith(("weight", "vae_scale")))).half()
    if scale is None:
        scale = like[0].numel() ** -0.5
    return torch.randn(like.shape, dtype=torch.float32).mul_(scale).half()


def main() -> None:
    folder, kinds = Path(sys.argv[1]), sys.argv[2:]
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path.insert(0, str(Path.cwd()))
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch
    from safetensors.torch import save_file

    for kind in kinds:
        torch.manual_seed(0)
        state = {}
        for prefix, part in parts(kind).items():
            for key, like in part.state_dict().items():
                state[prefix + key] = values_like(key, like, 0.02 if prefix == TEXT else None)
        save_file(state, folder / f"random-{kind}.safetensors")


if __name__ == "__main__":
    main()
