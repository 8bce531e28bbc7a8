"""Beside the real ADetailer and ControlNet, see docs/testing.md for the variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.webui.pictures import encoded, girl, opened
from tests.webui.server import install_clone
from tests.webui.test_forge import ADAPTER, write_adapter
from tests.webui.test_server import TITLE, generate, load, needs_checkpoint, saved, start

FOLDERS = [Path(path) for path in os.environ.get("TOONOUT_WEBUI_NEIGHBOURS", "").split(os.pathsep)]

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif([Path()] == FOLDERS, reason="needs TOONOUT_WEBUI_NEIGHBOURS"),
]

# a detector without training: it sees something everywhere, which is enough to be inpainted
MAKE_DETECTOR = """
import sys
from ultralytics import YOLO
detector = YOLO("yolov8n.yaml")
for head in detector.model.model[-1].cv3:
    head[-1].bias.data[:] = -9.0
    head[-1].bias.data[0] = 2.0
detector.ckpt = {"model": detector.model}
detector.save(sys.argv[1])
"""


def neighbour(word: str) -> Path:
    found = [path for path in FOLDERS if word in path.name.lower()]
    if not found:
        pytest.skip(f"TOONOUT_WEBUI_NEIGHBOURS names no {word}")
    return found[0]


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("neighbours")
    install_clone(base)
    flags = ["--api"]
    for path in FOLDERS:
        shutil.copytree(path, base / "extensions" / path.name)
    if any("adetailer" in path.name.lower() for path in FOLDERS):
        target = base / "models" / "adetailer" / "anything.pt"
        target.parent.mkdir(parents=True)
        python = os.environ.get("TOONOUT_WEBUI_PYTHON", sys.executable)
        subprocess.run([python, "-c", MAKE_DETECTOR, str(target)], check=True, cwd=base)
        flags.append("--ad-no-huggingface")
    write_adapter(base / "models" / "ControlNet")
    with start(base, *flags) as server:
        yield server


@pytest.mark.parametrize("module", ["toonout_mask", "toonout_on_black", "toonout_characters"])
def test_preprocessors_are_listed_and_run(webui, module):
    neighbour("controlnet")
    listed = webui.get("/controlnet/module_list")
    assert module in listed["module_list"]
    kinds = webui.get("/controlnet/control_types")["control_types"]
    assert module in kinds["Segmentation"]["module_list"]
    body = {"controlnet_module": module, "controlnet_input_images": [encoded(girl())]}
    (image,) = webui.post("/controlnet/detect", body)["images"]
    shown = opened(image).convert("RGB")
    assert shown.size == girl().size
    assert max(shown.getpixel((48, 40))) > 100  # her face
    assert max(shown.getpixel((2, 2))) < 60


@needs_checkpoint
@pytest.mark.parametrize("module", ["toonout_mask", "toonout_on_black", "toonout_characters"])
def test_a_unit_of_controlnet_is_steered_by_ours(webui, module):
    neighbour("controlnet")
    (model,) = [
        name for name in webui.get("/controlnet/model_list")["model_list"] if ADAPTER in name
    ]
    unit = {
        "enabled": True, "module": module, "model": model, "image": encoded(girl()),
        "processor_res": 64, "pixel_perfect": False,
    }  # fmt: skip
    scripts = {"ControlNet": {"args": [unit]}, TITLE: {"args": [True, "keep both"]}}
    pictures, texts = generate(webui, alwayson_scripts=scripts)
    assert [picture.mode for picture in pictures].count("RGBA") == 1
    # what steered it is among the pictures: her face and nothing in the corner
    maps = [picture.convert("RGB").resize(girl().size) for picture in pictures[1:]]
    assert any(max(m.getpixel((48, 40))) > 100 and max(m.getpixel((2, 2))) < 60 for m in maps)
    assert f"Module: {module}" in texts[0]
    assert "ToonOut keep: keep both" in texts[0]


@needs_checkpoint
@pytest.mark.parametrize("keep", ["replace", "keep both"])
def test_cutouts_come_after_adetailer(webui, keep):
    neighbour("adetailer")
    unit = {"ad_model": "anything.pt", "ad_confidence": 0.1, "ad_mask_k": 1}
    scripts = {"ADetailer": {"args": [True, False, unit]}, TITLE: {"args": [True, keep]}}
    before = len(saved(webui))
    (plain, *_), _ = generate(webui, save_images=False)
    pictures, texts = generate(webui, alwayson_scripts=scripts)
    assert "ADetailer model: anything.pt" in texts[0]
    assert "ToonOut keep" in texts[0]
    cutouts = [picture for picture in pictures if picture.mode == "RGBA"]
    assert len(cutouts) == 1
    assert cutouts[0].getchannel("A").getextrema()[0] < 255
    if keep == "keep both":
        detailed = next(picture for picture in pictures if picture.mode == "RGB")
        assert detailed.tobytes() != plain.tobytes()
        reply = webui.post("/toonout/v1/mask", {"image": encoded(detailed)})
        assert opened(reply["images"][0]).tobytes() == cutouts[0].getchannel("A").tobytes()
    new = [load(path) for path in saved(webui)[before:]]
    assert [picture.mode for picture in new].count("RGBA") == 1
    assert "ToonOut error" not in texts[0]
