"""What only Forge has: stealth infotexts, its own ControlNet, its manager of memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.webui.pictures import QUICK, encoded, girl, opened
from tests.webui.server import ROOT, install_clone, install_probe
from tests.webui.test_server import (  # noqa: F401 (folder is a fixture)
    TITLE,
    folder,
    generate,
    load,
    needs_checkpoint,
    saved,
    start,
)

pytestmark = pytest.mark.webui

ADAPTER = "toonout-test-adapter"
OWN = "mine.safetensors"
MODES = ("Alpha", "RGB", "None")


@pytest.fixture(scope="module")
def forge(tmp_path_factory):
    base = tmp_path_factory.mktemp("forge")
    install_clone(base)
    install_probe(base)
    probe = base / "extensions" / "forge-probe" / "scripts" / "forge_probe.py"
    probe.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("forge_probe.py"), probe)
    write_adapter(base / "models" / "ControlNet")
    write_own_model(base / "models" / "toonout")
    with start(base, "--api") as server:
        if not server.is_forge:
            pytest.skip("this host is not Forge")
        yield server


def write_adapter(path) -> None:
    """A "light" T2I adapter for SD 1.5 of random numbers."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights: dict[str, torch.Tensor] = {}

    def conv(name: str, into: int, out: int, side: int) -> None:
        weights[f"{name}.weight"] = torch.randn(out, into, side, side) * 0.05
        weights[f"{name}.bias"] = torch.zeros(out)

    before = 3 * 64
    for level, channels in enumerate((320, 640, 1280, 1280)):
        inner = channels // 4
        conv(f"body.{level}.in_conv", before, inner, 1)
        for block in range(4):
            conv(f"body.{level}.body.{block}.block1", inner, inner, 3)
            conv(f"body.{level}.body.{block}.block2", inner, inner, 3)
        conv(f"body.{level}.out_conv", inner, channels, 1)
        before = channels
    path.mkdir(parents=True)
    save_file(weights, path / f"{ADAPTER}.safetensors")


def write_own_model(path) -> None:
    """The embedded model, somewhat off."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    mini = ROOT / "toonout_core" / "assets" / "toonout-mini.safetensors"
    torch.manual_seed(0)
    weights = {
        name: value
        + 0.1 * value.float().std().to(value) * torch.randn_like(value.float()).to(value)
        if value.ndim == 4
        else value
        for name, value in load_file(mini).items()
    }
    with safe_open(mini, "pt") as file:
        metadata = file.metadata()
    path.mkdir(parents=True)
    save_file(weights, path / OWN, metadata)


def wanted_alpha(forge, picture) -> bytes:
    reply = forge.post("/toonout/v1/mask", {"image": encoded(picture), **QUICK})
    return opened(reply["images"][0]).tobytes()


# ---------------------------------------------------------------- stealth infotext


@pytest.mark.parametrize("mode", MODES)
def test_extras_in_every_stealth_mode(forge, folder, tmp_path, mode):  # noqa: F811
    out = tmp_path / "out"
    out.mkdir()
    body = {
        "folder": str(folder), "out": str(out), "settings": {"stealth_pnginfo_option": mode},
        "options": {**QUICK, "output": "cutout + mask"},
    }  # fmt: skip
    reply = forge.post("/toonout-test/extras", body)
    assert "error" not in reply, reply
    wanted = wanted_alpha(forge, girl())
    for name in ("with", "without"):
        cutout, mask = load(out / f"{name}.png"), load(out / f"{name}-mask.png")
        assert (cutout.mode, mask.mode) == ("RGBA", "L")
        assert cutout.getchannel("A").tobytes() == wanted == mask.tobytes()
    assert "model=toonout-mini" in str(load(out / "with.png").info)


@needs_checkpoint
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("keep", ["replace", "keep both"])
def test_generation_in_every_stealth_mode(forge, mode, keep):
    before = len(saved(forge))
    args = [True, keep, "toonout-mini", "cutout + mask", 64]
    pictures, _ = generate(forge, args, override_settings={"stealth_pnginfo_option": mode})
    assert "RGBA" in [picture.mode for picture in pictures]
    new = saved(forge)[before:]
    masks = [path for path in new if "-toonout-mask." in path.name]
    cutouts = (
        [path for path in new if "-toonout." in path.name]
        if keep == "keep both"
        else [path for path in new if path not in masks]
    )
    assert (len(cutouts), len(masks)) == (1, 1)
    cutout, mask = load(cutouts[0]), load(masks[0])
    assert (cutout.mode, mask.mode) == ("RGBA", "L")
    assert cutout.getchannel("A").tobytes() == mask.tobytes()
    assert "ToonOut keep" in cutout.info["parameters"]


@needs_checkpoint
def test_alpha_of_what_is_not_saved(forge):
    settings = {"stealth_pnginfo_option": "RGB"}
    args = [True, "replace"]
    (picture,), _ = generate(forge, args, save_images=False, override_settings=settings)
    assert (picture.mode, picture.getchannel("A").getextrema()[0]) == ("RGBA", 0)


# ---------------------------------------------------------------- X/Y/Z plot


@needs_checkpoint
def test_a_grid_of_models_resolutions_and_radii(forge):
    plots = [row for row in forge.get("/sdapi/v1/script-info") if row["name"] == "x/y/z plot"]
    info = next(row for row in plots if row["is_img2img"])["args"]
    labels = info[0]["choices"]
    axes = [labels.index(f"[ToonOut] {name}") for name in ("model", "resolution", "radius_px")]
    args: list = [entry["value"] for entry in info]
    args[:9] = [axes[0], "", ["toonout-mini", OWN], axes[1], "64, 128", [], axes[2], "40, 90", []]
    args[9:] = [True, True, False, False, False, False, False, 0, False]
    args = args[: len(info)]
    before = set(forge.base.glob("output*/*/*/*.png"))
    corner = Image.new("L", (128, 128))
    corner.paste(255, (0, 0, 8, 8))  # all but this stays as it was
    pictures, _ = generate(
        forge, [True, "replace"], "img2img", mask=encoded(corner), inpainting_fill=1,
        mask_blur=0, script_name="x/y/z plot", script_args=args,
        init_images=[encoded(girl((128, 128)))], denoising_strength=0.01, width=128, height=128,
        do_not_save_grid=False,
    )  # fmt: skip
    cells = {}
    for path in sorted(set(forge.base.glob("output*/*/*/*.png")) - before):
        picture = load(path)
        found = dict(
            entry.split(": ", 1)
            for entry in picture.info["parameters"].split("\n")[-1].split(", ")
            if entry.startswith("ToonOut ")
        )
        if "grid" not in path.name:
            assert (picture.mode, picture.size) == ("RGBA", (128, 128))
            options = ("model", "resolution", "radius_px")
            values = tuple(found.get(f"ToonOut {name}", "default") for name in options)
            cells[values] = picture
    models, sides, radii = (sorted({key[axis] for key in cells}) for axis in range(3))
    assert (models, sides) == ([OWN, "toonout-mini"], ["128", "64"])
    assert radii == ["40", "default"]
    assert len(cells) == 8
    # models and resolutions differ; radii only in colours (and the host in its rounding)
    alphas = [p.getchannel("A").tobytes() for key, p in cells.items() if key[2] == "40"]
    assert len(set(alphas)) == 4
    grid = max(pictures, key=lambda picture: picture.width * picture.height)
    assert grid.convert("RGBA").getchannel("A").getextrema()[0] >= 254  # stealth infotext
    if shots := os.environ.get("TOONOUT_SHOTS"):
        grid.save(Path(shots) / "forge-grid.png")


# ---------------------------------------------------------------- ControlNet


def unit(module: str) -> dict:
    return {
        "enabled": True, "module": module, "model": ADAPTER, "image": encoded(girl()),
        "processor_res": 64, "weight": 1.0, "resize_mode": "Just Resize",
    }  # fmt: skip


@needs_checkpoint
@pytest.mark.parametrize("module", ["toonout_mask", "toonout_on_black", "toonout_characters"])
def test_a_unit_of_controlnet_is_steered_by_ours(forge, module):
    plain, _ = generate(forge)
    both = {
        "ControlNet": {"args": [unit(module)]}, TITLE: {"args": [True, "replace"]}
    }  # fmt: skip
    steered, texts = generate(forge, alwayson_scripts=both)
    assert steered[0].mode == "RGBA"
    assert steered[0].convert("RGB").tobytes() != plain[0].tobytes()
    shown = steered[-1].convert("RGB").resize(girl().size)
    assert min(shown.getpixel((48, 40))) > 60 or module != "toonout_mask"
    assert max(shown.getpixel((2, 2))) < 60
    assert f"Module: {module}" in texts[0]
    assert "ToonOut keep: replace" in texts[0]


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize(("free_mb", "unloaded"), [(50, 1), (5000, 0)])
def test_forge_makes_room_for_ours_and_gets_it_back(forge, free_mb, unloaded):
    seen = forge.get(f"/toonout-test/card?free_mb={free_mb}&keep=false")
    assert seen == {
        "device": "cuda", "unloaded": unloaded, "inside": ["cuda"], "after": ["cuda", "cpu"]
    }  # fmt: skip


def test_ours_stays_on_the_card_if_the_settings_say_so(forge):
    assert forge.get("/toonout-test/card?free_mb=50&keep=true")["after"] == ["cuda"]
