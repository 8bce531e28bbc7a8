"""Forge's canvas in a real browser: a picture and a painted mask lie in it, grey where grey."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from tests.webui.pictures import opened
from tests.webui.server import ROOT, install_clone
from tests.webui.test_browser import (
    CHROMIUM,
    inner,
    opened_page,
    served,
    shoot,
    tab,
    wait_for,
    wait_to_land,
)
from tests.webui.test_server import start

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif(not CHROMIUM, reason="needs TOONOUT_CHROMIUM, see docs/testing.md"),
]

# the canvas' own elements share an id with the two fields that hold its layers
READ_LAYERS = """place => {
    const image = document.querySelector(place + ' [id^=image_uuid]');
    const id = image.id.replace('image_', '');
    const value = kind => document.querySelector(
        `[id="${id}"].logical_image_${kind} textarea`).value;
    return [value('background'), value('foreground')];
}"""
UNIT = "#txt2img_controlnet_ControlNet-0"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    base = tmp_path_factory.mktemp("canvas")
    install_clone(base)
    with start(base, "--api") as webui:
        if not webui.is_forge:
            pytest.skip("only Forge has this canvas")
        with opened_page(webui, "light") as page:
            yield page


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two characters side by side."""
    path = tmp_path_factory.mktemp("pair") / "pair.png"
    with Image.open(ROOT / "toonout_core" / "assets" / "example.webp") as picture:
        girl = picture.convert("RGB")
    girl.thumbnail((480, 480))
    both = Image.new("RGB", (girl.width * 2, girl.height))
    both.paste(girl, (0, 0))
    both.paste(girl, (girl.width, 0))
    both.save(path)
    return path


def layers(page) -> tuple[Image.Image, Image.Image]:
    """What Generate would be given: picture and strokes."""
    page.wait_for_selector("#img2maskimg", state="visible", timeout=30_000)
    time.sleep(3)  # the canvas draws, and writes its strokes back
    shown = [
        opened(value.partition(",")[2]) for value in page.evaluate(READ_LAYERS, "#img2maskimg")
    ]
    return shown[0], shown[1]


def require_painted(page, picture: Image.Image, mask: Image.Image) -> None:
    background, strokes = layers(page)
    assert background.size == strokes.size == picture.size
    there = np.asarray(background.convert("RGB")).astype(int)
    assert np.abs(there - np.asarray(picture.convert("RGB"))).max() <= 1
    painted = np.asarray(strokes.getchannel("A")).astype(int)
    wanted = np.asarray(mask.convert("L")).astype(int)
    assert np.abs(painted - wanted).max() <= 1
    assert len(np.unique(painted)) > 50  # not made black and white on the way
    assert (wanted.min(), wanted.max()) == (0, 255)


def test_the_picture_page(page, pair):
    tab(page, "ToonOut")
    page.set_input_files("#toonout_tab_source input[type=file]", str(pair))
    wait_for(page, "#toonout_tab_source")
    page.click("#toonout_tab_start")
    wait_for(page, "#toonout_tab_cutout")
    inner(page, "Mask")
    wait_for(page, "#toonout_tab_mask")
    mask = served(page, "#toonout_tab_mask")
    page.click("#toonout_tab_send_canvas")
    with Image.open(pair) as picture:
        require_painted(page, picture, mask)
    shoot(page, "canvas-picture")


def test_one_of_two_characters(page, pair):
    tab(page, "ToonOut")
    inner(page, "Characters")
    page.set_input_files("#toonout_characters_source input[type=file]", str(pair))
    wait_for(page, "#toonout_characters_source")
    page.fill("#toonout_characters_numbers input, #toonout_characters_numbers textarea", "1")
    page.click("#toonout_characters_start")
    wait_for(page, "#toonout_characters_mask")
    assert "picked: 1" in page.inner_text("#toonout_characters_status")
    mask = served(page, "#toonout_characters_mask")
    left, right = (
        np.asarray(half).mean()
        for half in (
            mask.convert("L").crop((0, 0, mask.width // 2, mask.height)),
            mask.convert("L").crop((mask.width // 2, 0, mask.width, mask.height)),
        )
    )
    assert left < 5 < 20 < right  # the one on the right
    page.click("#toonout_characters_send_canvas")
    with Image.open(pair) as picture:
        require_painted(page, picture, mask)
    shoot(page, "canvas-character")
    tab(page, "ToonOut")
    page.click("#toonout_characters_send_inpaint")
    wait_to_land(page, "#img_inpaint_mask")
    time.sleep(1)
    landed = served(page, "#img_inpaint_mask").convert("L")
    assert landed.tobytes() == mask.convert("L").tobytes()
    assert page.failures == []


def test_a_preprocessor_of_ours_is_previewed_by_controlnet(page, pair):
    tab(page, "Txt2img")
    page.locator("#txt2img_controlnet .label-wrap", has_text="ControlNet").first.click()
    time.sleep(1)
    field = page.locator(f"{UNIT}_controlnet_preprocessor_dropdown input").first
    field.scroll_into_view_if_needed()
    field.click()
    field.fill("toonout")
    offered = page.locator("ul.options:visible li, ul[role=listbox]:visible li")
    offered.filter(has_text="toonout_mask").first.click()
    page.set_input_files(f"{UNIT}_input_image input[type=file]", str(pair))
    time.sleep(2)
    page.click(f"{UNIT}_controlnet_trigger_preprocessor")
    deadline = time.monotonic() + 60
    while "base64" not in (shown := page.evaluate(READ_LAYERS, f"{UNIT}_generated_image")[0]):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    mask = np.asarray(opened(shown.partition(",")[2]).convert("L")).astype(int)
    assert (mask.min(), mask.max()) == (0, 255)
    height, width = mask.shape
    assert mask[height // 2, width // 4] > 200 > 60 > mask[height // 8, width // 2]
    shoot(page, "controlnet")
    assert page.failures == []
