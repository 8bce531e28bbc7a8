"""Write checkpoints of the shape of Stable Diffusion 1.5 with random numbers: what they draw is
noise, what graphs do with them is real.

cd COMFYUI_PATH && COMFYUI_PYTHON …/tests/comfy/random_checkpoint.py FOLDER KIND…

writes FOLDER/random-KIND.safetensors. KIND: full (2 GB, all layers); tiny (one layer of blocks and
the tiny autoencoder, 0.3 GB, nearly all of it the text encoder, which has but one size);
tiny-inpaint (the same, for nine channels); tiny-control (a ControlNet for the tiny ones).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2], "channel_mult": [1, 2, 4, 4], "num_heads": 8,
    "use_spatial_transformer": True, "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1] * 9 + [0] * 3, "transformer_depth_middle": 1,
    "context_dim": 768,
}  # fmt: skip
TINY = UNET | {
    "num_res_blocks": [1], "channel_mult": [1], "transformer_depth": [1],
    "transformer_depth_output": [1, 1],
}  # fmt: skip
VAE = {
    "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
    "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip


def parts(kind: str) -> dict[str, Any]:
    """Networks without values, by the prefix of their tensors in a checkpoint."""
    import comfy.ops
    import torch
    from comfy.cldm.cldm import ControlNet
    from comfy.clip_model import CLIPTextModel
    from comfy.ldm.models.autoencoder import AutoencoderKL
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
    from comfy.taesd.taesd import TAESD

    half = {
        "dtype": torch.float16, "device": "meta", "operations": comfy.ops.disable_weight_init
    }  # fmt: skip
    clip = json.loads(Path("comfy/sd1_clip_config.json").read_text("utf-8"))
    with torch.device("meta"):
        if kind == "tiny-control":
            shape = {key: value for key, value in TINY.items() if key != "out_channels"}
            return {"": ControlNet(hint_channels=3, **shape, **half)}
        text = {"cond_stage_model.transformer.": CLIPTextModel(clip, **half)}
        unet = "model.diffusion_model."
        if kind == "full":
            vae = AutoencoderKL(embed_dim=4, ddconfig=VAE)
            return text | {unet: UNetModel(**UNET, **half), "first_stage_model.": vae}
        channels = {"in_channels": 9 if kind == "tiny-inpaint" else 4}
        network = UNetModel(**(TINY | channels), **half)
        return text | {unet: network, "first_stage_model.": TAESD()}


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
            small = kind == "full" or prefix.startswith("cond_stage")
            for key, like in part.state_dict().items():
                state[prefix + key] = values_like(key, like, 0.02 if small else None)
        save_file(state, folder / f"random-{kind}.safetensors")


if __name__ == "__main__":
    main()
