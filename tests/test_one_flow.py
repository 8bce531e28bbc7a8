"""The one flow of a picture to its matte: own alpha, adjustments and colours, in every host."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import toonout_core
from tests import flow_case
from tests.comfy.characters import at_places
from tests.comfy.fake_comfy import PACK, FakeComfy, load_pack
from tests.comfy.luma import write_luma_model
from tests.webui import fake_gradio, fake_host
from toonout_core import LocalHost, load_matting
from toonout_core.cli import main
from toonout_core.flow import mixture
from toonout_core.imaging import from_pil
from toonout_core.ops.adjust import AdjustOptions

ADJUSTMENTS = {
    "none": AdjustOptions(),
    "specks": AdjustOptions(drop_specks_px=1),
    "shrunk": AdjustOptions(grow_px=-2),
    "feathered": AdjustOptions(feather_px=3),
    "holes": AdjustOptions(fill_holes_px=3),
}


@pytest.fixture
def luma(tmp_path):
    return write_luma_model(tmp_path / "luma.safetensors")


@pytest.fixture
def matting(luma):
    return load_matting(luma, host=LocalHost("cpu", quiet=True), resolution=64)


# ---------------------------------------------------------------- the same numbers everywhere


@pytest.mark.parametrize("adjust", ADJUSTMENTS.values(), ids=ADJUSTMENTS)
def test_in_the_library(matting, adjust):
    flow_case.check(matting(flow_case.picture(), adjust=adjust).cutout())


@pytest.mark.parametrize("options", [[], ["--drop-specks", "1"], ["--grow", "-2"]])
def test_in_the_shell(luma, tmp_path, options):
    flow_case.picture().save(tmp_path / "in.png")
    out = tmp_path / "out.png"
    given = ["--model", str(luma), "--resolution", "64", "--device", "cpu", "--quiet"]
    assert main(["cutout", str(tmp_path / "in.png"), "-o", str(out), *given, *options]) == 0
    flow_case.check(Image.open(out))


def test_in_comfyui(luma, tmp_path, monkeypatch):
    host = FakeComfy(tmp_path / "comfy")
    for name, module in host.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    folder = host.models / "background_removal"
    folder.mkdir(parents=True)
    luma.rename(folder / "luma.safetensors")
    image = torch.from_numpy(np.asarray(flow_case.picture())[None].copy()).float().div(0xFF)
    try:
        extension = asyncio.run(load_pack().comfy_entrypoint())
        nodes = {c.define_schema().node_id: c for c in asyncio.run(extension.get_node_list())}
        loaded = at_places(
            nodes["ToonOut_LoadMatting"], "luma.safetensors", False, "auto", "auto", 64
        )
        cut = nodes["ToonOut_Matte"].execute
        cutout, foreground, mask = cut(
            model=loaded.result[0], image=image, resolution=0, fit="auto", estimate_foreground=True,
            radius_px=90, refine_radius_px=6, frames_per_step=1, source_alpha="multiply",
        ).result  # fmt: skip
        own_node = loaded.result[0].encode_image(image)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == PACK]:
            del sys.modules[name]
    flow_case.check(Image.fromarray(cutout[0].mul(0xFF).round().byte().numpy()))
    assert torch.equal(cutout[..., :3], foreground)
    assert torch.equal(cutout[..., 3], mask)
    assert torch.equal(own_node, mask)  # through ComfyUI's own Remove Background


@pytest.mark.parametrize("options", [{}, {"drop_specks_px": 1}, {"grow_px": -2.0}])
def test_in_the_webui(luma, tmp_path, options):
    with fake_host.running(tmp_path, fake_gradio.make("3.41.2")):
        folder = tmp_path / "models" / "toonout"
        folder.mkdir(parents=True)
        luma.rename(folder / "luma.safetensors")
        cutting = fake_host.part("cutting")
        wish = cutting.wish({"model": "luma.safetensors", "resolution": 64, **options})
        flow_case.check(cutting.cut(flow_case.picture(), wish).cutout())


# ---------------------------------------------------------------- what the flow promises


def test_cutting_a_cutout_again_gives_it_back(matting):
    """0.49 stays 0.49, however often."""
    first = matting(flow_case.picture())
    again = first
    for _ in range(3):
        again = matting(again.cutout())
    levels = [np.asarray(matte.cutout()).astype(int) for matte in (first, again)]
    visible = levels[0][..., 3] > 0
    assert np.abs(levels[0][..., 3] - levels[1][..., 3]).max() <= 1
    assert np.abs(levels[0] - levels[1])[visible].max() <= 2
    assert levels[1][16, 48, 3] == 125


def test_the_soft_edges_of_a_drawing_stay_when_its_cutout_is_cut_out():
    """With the embedded model: its mean soft alpha was halved by every turn once."""
    example = Path(toonout_core.__file__).with_name("assets") / "example.webp"
    mini = load_matting(host=LocalHost("cpu", quiet=True), resolution=256)
    first = mini(example, foreground=None)
    soft = (first.alpha > 0.02) & (first.alpha < 0.98)
    assert int(soft.sum()) > 5000
    cutout = first.cutout()
    for _ in range(2):
        again = mini(cutout, foreground=None)
        cutout = again.cutout()
        assert float(again.alpha[soft].mean()) == pytest.approx(
            float(first.alpha[soft].mean()), abs=0.01
        )


def test_own_alpha_is_ignored_if_one_says_so(matting):
    flow_case.check(matting(flow_case.picture(), source_alpha="ignore").cutout(), (255,) * 4)


def test_an_adjustment_that_reaches_into_transparency_takes_no_hidden_colour(matting):
    """Under own alpha 0 the colours mean nothing: what is grown there gets the character's."""
    drawing = flow_case.picture(own_of_dark=0)
    matte = matting(drawing, adjust=AdjustOptions(grow_px=4))
    x, y = flow_case.MIDDLES[0]
    *colour, alpha = matte.cutout().getpixel((x + 12, y))
    assert alpha > 200
    assert np.abs(np.subtract(colour, flow_case.LIGHT[0])).max() <= 12


def test_without_alpha_of_its_own_a_picture_gets_colours_for_the_adjusted_matte(matting):
    drawing = from_pil(flow_case.picture().convert("RGB"))
    plain = matting(drawing, adjust=AdjustOptions(grow_px=-3))
    opaque = matting.matte(drawing.image, torch.ones(1, 1, 64, 64), AdjustOptions(grow_px=-3))
    assert torch.equal(plain.alpha, opaque.alpha)
    assert torch.equal(plain.foreground, opaque.foreground)
    assert not torch.equal(plain.foreground, matting(drawing).foreground)


@pytest.mark.parametrize(
    ("shown", "alpha", "own", "mixed"),
    [
        (0.4, 0.4, 1.0, 0.4),  # opaque: the matte itself
        (0.2, 0.4, 1.0, 0.2),  # and what adjustments made of it
        (0.5, 0.5, 0.5, 1.0),  # bounded by its own alpha: straight colours are clean
        (0.3, 0.5, 0.5, 1.0),  # and stay so
        (0.9, 0.5, 0.5, 1.0),
        (0.2, 0.2, 0.5, 0.4),  # of what is half visible two fifths are character
        (0.3, 0.2, 0.5, 0.6),
        (0.0, 0.5, 0.5, 0.0),  # nobody sees it
        (0.7, 0.0, 0.0, 0.0),  # nothing was there
    ],
)
def test_how_much_of_a_colour_is_foreground(shown, alpha, own, mixed):
    planes = (torch.full((1, 1, 1, 1), value) for value in (shown, alpha, own))
    assert float(mixture(*planes)) == pytest.approx(mixed)


def test_no_frames_give_no_frames(matting):
    none = torch.zeros(0, 3, 20, 30)
    assert matting.predict(none).shape == (0, 1, 20, 30)
    matte = matting.matte(none, torch.zeros(0, 1, 20, 30), AdjustOptions(grow_px=2))
    assert len(matte) == 0
    assert matte.foreground.shape == (0, 3, 20, 30)
