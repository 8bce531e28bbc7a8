"""Pages of a real WebUI in a real browser, see docs/testing.md; pictures go to TOONOUT_SHOTS."""

from __future__ import annotations

import io
import os
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.webui.server import ROOT, install_clone
from tests.webui.test_server import start

CHROMIUM = os.environ.get("TOONOUT_CHROMIUM", "")

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif(not CHROMIUM, reason="needs TOONOUT_CHROMIUM, see docs/testing.md"),
]

HEAD = "#toonout_tab button"
DISABLED = ["--no-sandbox", "--no-proxy-server", "--disable-gpu"]


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("pages")
    install_clone(base)
    with start(base, "--api") as server:
        yield server


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, webui):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=DISABLED)
        page = browser.new_page(viewport={"width": 1500, "height": 1250})
        page.failures = []
        page.theme, page.webui = request.param, webui
        page.on("pageerror", lambda error: page.failures.append(str(error)))
        page.goto(f"{webui.url}/?__theme={request.param}", timeout=180_000)
        page.wait_for_selector("#tab_txt2img", timeout=180_000)
        page.wait_for_selector("#toonout_tab_start", state="attached", timeout=60_000)
        time.sleep(5)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    path = tmp_path_factory.mktemp("example") / "girl.png"
    with Image.open(ROOT / "toonout_core" / "assets" / "example.webp") as picture:
        picture.convert("RGB").save(path)
    return path


def tab(page, name: str) -> None:
    page.locator("#tabs > div > button, #tabs button[role=tab]", has_text=name).first.click()
    time.sleep(1)


def inner(page, name: str) -> None:
    page.locator(HEAD + ", #tab_toonout_tab button", has_text=name).first.click()
    time.sleep(1)


def shoot(page, name: str) -> None:
    if folder := os.environ.get("TOONOUT_SHOTS"):
        kind = "forge" if page.webui.is_forge else "a1111"
        page.evaluate("window.scrollTo(0, 0)")
        time.sleep(0.5)
        page.screenshot(path=str(Path(folder) / f"{kind}-{page.theme}-{name}.png"))


def images(page, selector: str) -> int:
    return page.locator(f"{selector} img").count()


def wait_for(page, selector: str, count: int = 1) -> None:
    deadline = time.monotonic() + 90
    while images(page, selector) < count:
        assert time.monotonic() < deadline, f"no picture in {selector}"
        time.sleep(0.5)


def wait_to_land(page, selector: str) -> None:
    """The picture, and then the switch to its tab."""
    wait_for(page, selector)
    page.wait_for_selector(selector, state="visible", timeout=30_000)


def served(page, selector: str) -> Image.Image:
    """The file behind a picture of the page."""
    source = page.locator(f"{selector} img").first.get_attribute("src")
    with urllib.request.urlopen(source) as answer:  # data: or the loopback
        return Image.open(io.BytesIO(answer.read()))


def test_the_picture_tab(page, example):
    tab(page, "ToonOut")
    page.set_input_files("#toonout_tab_source input[type=file]", str(example))
    wait_for(page, "#toonout_tab_source")
    page.click("#toonout_tab_start")
    wait_for(page, "#toonout_tab_cutout")
    time.sleep(2)
    cutout = served(page, "#toonout_tab_cutout")
    assert (cutout.format, cutout.mode) == ("PNG", "RGBA")
    assert cutout.getchannel("A").getextrema()[0] == 0
    shoot(page, "tab")
    inner(page, "Before / after")
    assert images(page, ".toonout-slider") == 2
    page.evaluate(
        """() => { const knob = document.querySelector('.toonout-slider input');
        knob.value = 25; knob.dispatchEvent(new Event('input')); }"""
    )
    style = page.locator(".toonout-slider").first.get_attribute("style")
    assert "25%" in style
    shoot(page, "slider")


def test_results_land_in_the_right_places(page):
    page.click("#toonout_tab_send_img2img")
    wait_to_land(page, "#img2img_image")
    tab(page, "ToonOut")
    page.click("#toonout_tab_send_inpaint")
    wait_to_land(page, "#img_inpaint_base")
    wait_to_land(page, "#img_inpaint_mask")
    time.sleep(2)
    shoot(page, "inpaint")
    mask, picture = served(page, "#img_inpaint_mask"), served(page, "#img_inpaint_base")
    assert mask.size == picture.size
    assert mask.convert("L").getextrema() == (0, 255)
    if page.webui.is_forge:
        tab(page, "ToonOut")
        page.click("#toonout_tab_send_canvas")
        page.wait_for_selector("#img2maskimg", state="visible", timeout=30_000)
        time.sleep(3)
        strokes = page.eval_on_selector_all(
            ".logical_image_foreground textarea", "all => all.map(area => area.value.length)"
        )
        assert max(strokes) > 1000
        shoot(page, "canvas")
    tab(page, "ToonOut")
    page.click("#toonout_tab_send_extras")
    wait_to_land(page, "#extras_image")


def test_extras(page):
    page.evaluate(
        """() => { const place = document.querySelector('#tab_extras [id$=_enable]');
        (place.querySelector('input[type=checkbox]') || place).click(); }"""
    )
    time.sleep(1)
    page.click("#extras_generate")
    wait_for(page, "#extras_gallery")
    time.sleep(2)
    shoot(page, "extras")
    assert "model=toonout-mini" in page.inner_text("#tab_extras")


def test_an_infotext_is_read(page):
    tab(page, "txt2img" if not page.webui.is_forge else "Txt2img")
    entries = "ToonOut keep: replace, ToonOut model: toonout-mini, ToonOut radius_px: 77"
    text = f"a\nSteps: 2, Sampler: Euler, CFG scale: 1, Seed: 1, Size: 64x64, {entries}"
    page.fill("#txt2img_prompt textarea", text)
    page.click("#txt2img_tools #paste, #paste")
    radius = page.locator("#toonout_txt2img_radius_px input[type=number]").first
    deadline = time.monotonic() + 30
    while radius.input_value() != "77":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert page.locator("#toonout_txt2img_keep input:checked").input_value() == "replace"
    assert page.locator("#toonout_txt2img_enable input[type=checkbox]").first.is_checked()


def test_the_other_pages(page):
    page.locator("#toonout_txt2img_enable").first.scroll_into_view_if_needed()
    time.sleep(1)
    if folder := os.environ.get("TOONOUT_SHOTS"):
        kind = "forge" if page.webui.is_forge else "a1111"
        page.screenshot(path=str(Path(folder) / f"{kind}-{page.theme}-txt2img.png"))
    tab(page, "ToonOut")
    for name in ("Characters", "Folder", "Models"):
        inner(page, name)
        shoot(page, name.lower())


def test_characters(page, example):
    inner(page, "Characters")
    page.set_input_files("#toonout_characters_source input[type=file]", str(example))
    wait_for(page, "#toonout_characters_source")
    page.click("#toonout_characters_start")
    wait_for(page, "#toonout_characters_overlay")
    wait_for(page, "#toonout_characters_cutout")
    time.sleep(2)
    shoot(page, "found")
    assert "found (connected regions of the matte)" in page.inner_text("#toonout_characters_status")


def test_no_id_is_given_twice_and_no_script_failed(page):
    """gradio 3 itself repeats the id of an HTML component inside of it."""
    twice = page.evaluate(
        """() => { const seen = {};
        document.querySelectorAll('[id^=toonout]').forEach(e => {
            if (!e.closest('[id="' + e.id + '"]').parentElement.closest('[id="' + e.id + '"]'))
                seen[e.id] = (seen[e.id] || 0) + 1; });
        return Object.keys(seen).filter(id => seen[id] > 1); }"""
    )
    assert twice == []
    assert page.failures == []
