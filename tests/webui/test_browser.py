"""Pages of a real WebUI in a real browser, see docs/testing.md; pictures go to TOONOUT_SHOTS."""

from __future__ import annotations

import io
import os
import re
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.webui.pictures import encoded, girl, opened
from tests.webui.server import ROOT, install_clone
from tests.webui.test_acceptance import odd_files
from tests.webui.test_server import needs_checkpoint, start
from toonout_core.output.clips import frames_of

CHROMIUM = os.environ.get("TOONOUT_CHROMIUM", "")

pytestmark = [
    pytest.mark.webui,
    pytest.mark.skipif(not CHROMIUM, reason="needs TOONOUT_CHROMIUM, see docs/testing.md"),
]

HEAD = "#toonout_tab button"
EXTRAS = ":is(#tab_extras, #tab_process)"
DISABLED = ["--no-sandbox", "--no-proxy-server", "--disable-gpu"]


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("pages")
    install_clone(base)
    write_second_model(base / "models" / "toonout" / "mine.safetensors")
    with start(base, "--api") as server:
        yield server


def write_second_model(path: Path) -> None:
    """The embedded one in half precision: another file, another name."""
    state = load_file(ROOT / "toonout_core" / "assets" / "toonout-mini.safetensors")
    path.parent.mkdir(parents=True)
    save_file({name: tensor.half() for name, tensor in state.items()}, path)


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, webui):
    with opened_page(webui, request.param) as page:
        yield page


@contextmanager
def opened_page(webui, theme: str):
    """The host's page in a browser; `failures` are errors of scripts in it."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=DISABLED)
        page = browser.new_page(viewport={"width": 1500, "height": 1250})
        page.set_default_timeout(90_000)  # machines are busy
        page.failures = []
        page.theme, page.webui = theme, webui
        page.on("pageerror", lambda error: page.failures.append(error.stack or str(error)))
        page.goto(f"{webui.url}/?__theme={theme}", timeout=180_000)
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


def shoot(page, name: str, *, top: bool = True) -> None:
    if folder := os.environ.get("TOONOUT_SHOTS"):
        kind = page.webui.kind
        if top:
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


def wait_for_text(page, selector: str, text: str) -> str:
    deadline = time.monotonic() + 90
    while text not in (told := page.inner_text(selector)):
        assert time.monotonic() < deadline, told
        time.sleep(0.5)
    return told


def choose(page, selector: str, value: str) -> None:
    """From a dropdown."""
    page.locator(f"{selector} input").first.click()
    time.sleep(0.3)
    page.locator("ul.options:visible li, ul[role=listbox]:visible li").filter(
        has_text=re.compile(rf"^\W*{re.escape(value)}\W*$")
    ).first.click()
    page.evaluate("document.activeElement.blur()")  # or the next click does not open a list
    time.sleep(0.3)


def unfold(page, title: str) -> None:
    """An accordion of the page that is shown."""
    page.locator(".label-wrap:visible").filter(
        has_text=re.compile(rf"^\s*{title}\W*$")
    ).first.click()
    time.sleep(1)


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
    with Image.open(example) as picture:
        reply = page.webui.post("/toonout/v1/mask", {"image": encoded(picture)})
    assert opened(reply["images"][0]).tobytes() == cutout.getchannel("A").tobytes()
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


def test_two_models_side_by_side(page):
    """On a page where the picture is chosen already."""
    unfold(page, "Compare models")
    for name in ("toonout-mini", "mine.safetensors"):
        choose(page, "#toonout_tab_compared", name)
    page.click("#toonout_tab_compare")
    wait_for(page, "#toonout_tab_comparison", 2)
    time.sleep(2)
    shown = page.inner_text("#toonout_tab_comparison")
    assert "toonout-mini" in shown
    assert "mine.safetensors" in shown
    page.locator("#toonout_tab_comparison").scroll_into_view_if_needed()
    shoot(page, "compare", top=False)


def test_a_missing_model_is_a_sentence(page):
    choose(page, "#toonout_tab_model", "birefnet")
    page.click("#toonout_tab_start")
    told = wait_for_text(page, "#toonout_tab_status", "https://huggingface.co/")
    assert str(page.webui.base / "models" / "toonout") in told
    shoot(page, "missing")
    choose(page, "#toonout_tab_model", "toonout-mini")
    page.click("#toonout_tab_start")
    wait_for_text(page, "#toonout_tab_status", "model=toonout-mini")


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
    if page.webui.kind == "sdnext":
        unfold(page, "ToonOut")
    page.evaluate(
        """where => { const place = document.querySelector(`${where} [id$=_enable]`);
        (place.querySelector('input[type=checkbox]') || place).click(); }""",
        EXTRAS,
    )
    time.sleep(1)
    page.click("#extras_generate")
    wait_for(page, "#extras_gallery")
    time.sleep(2)
    shoot(page, "extras")
    assert "model=toonout-mini" in page.inner_text(EXTRAS)


def test_an_infotext_is_read(page):
    tab(page, {"forge": "Txt2img", "sdnext": "Text"}.get(page.webui.kind, "txt2img"))
    entries = "ToonOut keep: replace, ToonOut model: toonout-mini, ToonOut radius_px: 77"
    text = f"a\nSteps: 2, Sampler: Euler, CFG scale: 1, Seed: 1, Size: 64x64, {entries}"
    page.fill("#txt2img_prompt textarea", text)
    # not by the mouse: SD.Next's list of models lies above it
    page.locator("#txt2img_tools #paste, #paste, #txt2img_tools #txt2img_paste").first.evaluate(
        "button => button.click()"
    )
    radius = page.locator("#toonout_txt2img_radius_px input[type=number]").first
    deadline = time.monotonic() + 30
    while radius.input_value() != "77":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert page.locator("#toonout_txt2img_keep input:checked").input_value() == "replace"
    assert page.locator("#toonout_txt2img_enable input[type=checkbox]").first.is_checked()


@needs_checkpoint
def test_a_picture_generated_in_the_page(page):
    """With what the infotext set: replace."""
    page.click("#txt2img_generate")
    wait_for(page, "#txt2img_gallery")
    time.sleep(2)
    picture = served(page, "#txt2img_gallery")
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    assert "ToonOut keep: replace" in page.inner_text("#html_info_txt2img")
    shoot(page, "generated")


def test_the_other_pages(page):
    tab(page, "txt2img")
    page.locator("#toonout_txt2img_enable").first.scroll_into_view_if_needed()
    time.sleep(1)
    shoot(page, "txt2img", top=False)
    tab(page, "ToonOut")
    for name in ("Characters", "Folder", "Clip", "Motion", "Models"):
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
    assert "found (centres in the matte)" in page.inner_text("#toonout_characters_status")


def test_files_of_characters(page):
    for kind in ("masks", "overlay"):
        page.locator("#toonout_characters_kinds label", has_text=kind).click()
    page.click("#toonout_characters_save")
    told = wait_for_text(page, "#toonout_characters_status", " files: ")
    for kind in ("mask", "cutout"):
        assert f".instance00.{kind}.png" in told
    shoot(page, "saved")


def test_a_folder_on_a_picture(page, tmp_path):
    """Every readable file has a result of its own, and the wall of bricks is behind her."""
    source, out = tmp_path / "in", tmp_path / "out"
    odd_files(source)
    Image.new("RGB", (96, 128), (90, 40, 20)).save(tmp_path / "bricks.png")
    inner(page, "Folder")
    for name, path in (("input", source), ("results", out)):
        page.fill(f"#toonout_folder_{name} :is(textarea, input)", str(path))
    unfold(page, "Background")
    choose(page, "#toonout_folder_background", "picture")
    behind = "#toonout_folder_background_picture"
    page.set_input_files(f"{behind} input[type=file]", str(tmp_path / "bricks.png"))
    wait_for(page, behind)
    page.click("#toonout_folder_start")
    told = wait_for_text(page, "#toonout_folder_status", "7 done, 1 failed")
    assert "broken.png" in told
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    assert names == {
        "a.jpg.png", "a.png.png", "cmyk.png", "deep.png", "palette.png", "sub/a.png", "猫.png",
    }  # fmt: skip
    for name in names:
        with Image.open(out / name) as picture:
            corner = picture.convert("RGB").getpixel((2, 2))
            assert corner == pytest.approx((90, 40, 20), abs=12), name
    shoot(page, "folder-done")
    page.click("#toonout_folder_start")
    wait_for_text(page, "#toonout_folder_status", "7 done before")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A few frames of somebody who walks."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path_factory.mktemp("clip") / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8, (256, 256))
    for step in range(3):
        frame = Image.new("RGB", (256, 256), (60, 120, 220))
        frame.paste(girl((192, 256)), (20 * step, 0))
        writer.write(np.ascontiguousarray(np.asarray(frame)[..., ::-1]))
    writer.release()
    return path


@pytest.mark.parametrize("kind", ["png", "mp4", "webm"])
def test_a_clip(page, clip, kind):
    inner(page, "Clip")
    if kind == "png":
        page.set_input_files("#toonout_clip_files input[type=file]", str(clip))
        page.locator("#toonout_clip_files", has_text="walk").wait_for()
        time.sleep(1)
    elif kind == "mp4":
        unfold(page, "Background")
        choose(page, "#toonout_clip_background", "colour")
    else:
        page.locator("#toonout_clip_format input").first.click()
        if not page.locator("ul.options:visible li", has_text="webm").count():
            pytest.skip("this host has no av")
        page.evaluate("document.activeElement.blur()")
        choose(page, "#toonout_clip_background", "transparent")
    choose(page, "#toonout_clip_format", kind)
    page.click("#toonout_clip_start")
    ending = "/walk" if kind == "png" else f".{kind}"
    told = wait_for_text(page, "#toonout_clip_status", ending)
    result = Path(told.split("3 frames: ")[1].splitlines()[0].strip())
    if kind == "png":
        frames = sorted(result.iterdir())
        assert len(frames) == 3
        with Image.open(frames[0]) as frame:
            assert frame.mode == "RGBA"
    else:
        assert result.suffix == f".{kind}"
        first = next(frames_of(result))
        assert first.shape[-2:] == (256, 256)
    shoot(page, f"clip-{kind}")


@pytest.mark.parametrize("kind", ["ken_burns", "puppet"])
def test_a_picture_moves(page, example, kind):
    inner(page, "Motion")
    if kind == "ken_burns":
        page.set_input_files("#toonout_motion_source input[type=file]", str(example))
        wait_for(page, "#toonout_motion_source")
    else:
        inner(page, "Puppet")
    frames = f"#toonout_motion_{kind}_frames input[type=number]"
    page.fill(frames, "4")
    page.locator(frames).press("Tab")
    choose(page, "#toonout_motion_format", "webp")
    page.click(f"#toonout_motion_start_{kind}")
    told = wait_for_text(page, "#toonout_motion_status", ".webp")
    with Image.open(re.search(r"\S+\.webp", told)[0]) as film:
        assert film.n_frames == 4
        pictures = [np.asarray(film.convert("RGB"), int) for _ in map(film.seek, range(4))]
    assert np.abs(pictures[1] - pictures[0]).mean() > 0.5, "it moves"
    shoot(page, f"motion-{kind}")


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
