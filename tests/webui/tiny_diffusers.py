"""Writes a Stable Diffusion 1.5 in small, of random numbers, as a folder of diffusers: for SD.Next,
which reads single files only with the network. Run with SD.Next's Python, see docs/testing.md:

    python tiny_diffusers.py FOLDER_OF_SDNEXT TARGET
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer


def write(sdnext: Path, target: Path) -> None:
    """30 MB."""
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(sdnext / "configs" / "sd15" / "tokenizer")
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=8, cross_attention_dim=64,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32), latent_channels=4, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=64, intermediate_size=64, num_attention_heads=4,
        num_hidden_layers=2, projection_dim=64, bos_token_id=49406, eos_token_id=49407,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae, CLIPTextModel(text), tokenizer, unet, PNDMScheduler(skip_prk_steps=True),
        None, None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(target)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
