"""Write a checkpoint of the shape of Stable Diffusion 1.5 with random numbers, 2 GB.

cd COMFYUI_PATH && COMFYUI_PYTHON …/tests/comfy/random_checkpoint.py OUT.safetensors
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
VAE = {
    "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
    "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip


def shapes() -> dict[str, Any]:
    """Tensors without values, under their names in a checkpoint."""
    import comfy.ops
    import torch
    from comfy.clip_model import CLIPTextModel
    from comfy.ldm.models.autoencoder import AutoencoderKL
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    operations = comfy.ops.disable_weight_init
    clip = json.loads(Path("comfy/sd1_clip_config.json").read_text("utf-8"))
    with torch.device("meta"):
        unet = UNetModel(**UNET, dtype=torch.float16, device="meta", operations=operations)
        parts = {
            "model.diffusion_model.": unet,
            "first_stage_model.": AutoencoderKL(embed_dim=4, ddconfig=VAE),
            "cond_stage_model.transformer.": CLIPTextModel(
                clip, dtype=torch.float16, device="meta", operations=operations
            ),
        }
    return {
        prefix + key: value
        for prefix, part in parts.items()
        for key, value in part.state_dict().items()
    }


def main() -> None:
    out = sys.argv[1]
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path.insert(0, str(Path.cwd()))
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = {}
    for key, like in shapes().items():
        norm = like.ndim == 1 and key.endswith("weight")
        scale = 0.0 if like.ndim == 1 else 0.02
        values = torch.randn(like.shape, dtype=torch.float32).mul_(scale).add_(float(norm))
        state[key] = values.half()
    save_file(state, out)


if __name__ == "__main__":
    main()
