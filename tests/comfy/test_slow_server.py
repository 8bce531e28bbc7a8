"""What takes minutes: large networks of random numbers in a real ComfyUI.

COMFYUI_PATH=… COMFYUI_PYTHON=… pytest tests/comfy/test_slow_server.py --slow
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytestmark = [pytest.mark.comfy, pytest.mark.slow]
pytest.importorskip("aiohttp")

from tests.comfy.server import ROOT  # noqa: E402
from tests.comfy.test_server import load, matte, node, pixels  # noqa: E402


@pytest.fixture(scope="module")
def converted(comfy):
    """A Swin-L BiRefNet of random numbers, saved as training leaves it, then converted by us."""
    if "RemoveBackground" not in comfy.get("/object_info"):
        pytest.skip("ComfyUI has its own BiRefNet since 0.21")
    from tests.comfy.random_birefnet import random_state

    folder = comfy.base / "models" / "background_removal"
    raw = comfy.base / "trained.pth"
    torch.save({f"module._orig_mod.{key}": value for key, value in random_state().items()}, raw)
    target = folder / "random-fp16.safetensors"
    convert = [sys.executable, "-m", "toonout_core", "weights", "convert", str(raw)]
    convert += ["-o", str(target), "--dtype", "fp16"]
    subprocess.run(convert, cwd=ROOT, check=True)
    raw.unlink()
    return target.name


def masks(comfy, graph, key):
    graph = graph | {"mask": node("MaskToImage", mask=[key, 2 if "matte" in key else 0])}
    graph["out"] = node("PreviewImage", images=["mask", 0])
    (picture,) = comfy.pictures(comfy.run(graph, timeout_s=900), "out")
    return pixels(picture)[..., 0]


def test_core_and_we_run_each_others_models_and_agree(comfy, converted):
    """The same converted file: core's loader and node, core's loader and our node, ours alone.

    The picture has the network's size, so that no resizing comes between. Core runs every file in
    the old patch order, so ours is told to; and 0.21 … 0.25 do not normalise, which is undone.
    """
    path = Path(os.environ["COMFYUI_PATH"]) / "comfy" / "background_removal" / "birefnet.json"
    config = json.loads(path.read_text("utf-8"))
    side = config["image_size"]
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    noise[side // 4 : -side // 4, side // 4 : -side // 4] //= 2
    Image.fromarray(noise).save(comfy.base / "input" / "noise.png")
    picture = {"image": node("LoadImage", image="noise.png")}
    core = picture | {
        "loader": node("LoadBackgroundRemovalModel", bg_removal_name=converted),
        "remove": node("RemoveBackground", bg_removal_model=["loader", 0], image=["image", 0]),
        "matte": matte(["loader", 0], ["image", 0], clean_colours=False),
    }
    by_core = masks(comfy, core, "remove")
    assert by_core.std() > 5, "random numbers must give a picture, or nothing is compared"
    assert np.array_equal(masks(comfy, core, "matte"), by_core)
    seen = "image" if config["image_mean"][0] else "raw"
    ours = picture | {
        "raw": node("Probe_Denormalise", image=["image", 0]),
        "loader": load(converted, resolution=side, patch_order="old"),
        "matte": matte(["loader", 0], [seen, 0], clean_colours=False),
    }
    difference = np.abs(masks(comfy, ours, "matte") - by_core)
    new = ours | {"loader": load(converted, resolution=side, patch_order="new")}
    other = np.abs(masks(comfy, new, "matte") - by_core)
    print(f"levels of 255: mean {difference.mean():.3f}, max {difference.max()}")
    print(f"in the other patch order: mean {other.mean():.3f}, max {other.max()}")
    assert difference.mean() < 0.5
    assert difference.max() <= 4
    assert other.mean() > 2 * difference.mean()
