"""With what ComfyUI brings and no more: neither OpenCV, nor the hub's client, nor tqdm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from safetensors.torch import save_file

from toonout_core.models.unet import UNet

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """
import sys
for name in ("cv2", "huggingface_hub", "tqdm", "aiohttp", "transformers", "timm", "kornia"):
    sys.modules[name] = None
from PIL import Image
from toonout_core import load_matting
from toonout_core.ops.adjust import AdjustOptions, adjust
matting = load_matting(sys.argv[1])
matte = matting(Image.new("RGB", (70, 50), (90, 120, 200)))
adjust(matte.alpha, AdjustOptions())
print(*matte.alpha.shape, *matte.foreground.shape, matte.cutout().mode)
"""


def test_a_matte_from_a_file_that_is_there(tmp_path):
    path = tmp_path / "own.safetensors"
    save_file(UNet(widths=(4, 8, 8)).state_dict(), path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "1", "50", "70", "1", "3", "50", "70", "RGBA"]
