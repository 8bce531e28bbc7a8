"""What users of such extensions complained of most, each looked for in a real WebUI.

See docs/testing.md for the variables, and test_server.py for the rest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.webui.pictures import QUICK, encoded, girl, opened
from tests.webui.server import CLONE, ROOT, install_clone, install_probe
from tests.webui.test_routes import two
from tests.webui.test_server import TITLE, files, generate, load, needs_checkpoint, saved, start

pytestmark = pytest.mark.webui


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("acceptance")
    install_clone(base)
    install_probe(base)
    with start(base, "--api") as server:
        yield server


def computed_alpha(webui, picture, **options) -> bytes:
    reply = webui.post("/toonout/v1/mask", {"image": encoded(picture), **options})
    return opened(reply["images"][0]).tobytes()


# ---------------------------------------------------------------- transparent means transparent


@needs_checkpoint
@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
@pytest.mark.parametrize("keep", ["replace", "keep both"])
def test_the_files_of_generated_pictures_have_the_alpha_that_was_computed(webui, kind, keep):
    before = set(webui.pictures())
    (plain,), _ = generate(webui, save_images=False)
    wanted = computed_alpha(webui, plain, resolution=64)
    args = [True, keep, "toonout-mini", "cutout + mask", 64]
    settings = {"samples_format": kind}
    generate(webui, args, override_settings=settings)
    new = sorted(set(webui.pictures()) - before)
    assert len(new) == (2 if keep == "replace" else 3), new
    shown = {load(path).mode: load(path) for path in new if path.suffix == ".png"}
    assert shown["RGBA"].getchannel("A").tobytes() == wanted
    assert shown["L"].tobytes() == wanted
    others = [path.suffix for path in new if path.suffix != ".png"]
    assert others == ([] if keep == "replace" or kind == "png" else [f".{kind}"])


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_routes_answer_png_whatever_the_settings_say(webui, kind):
    before = webui.get("/sdapi/v1/options")["samples_format"]
    webui.post("/sdapi/v1/options", {"samples_format": kind})
    try:
        reply = webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
    finally:
        webui.post("/sdapi/v1/options", {"samples_format": before})
    picture = opened(reply["images"][0])
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    assert picture.getchannel("A").tobytes() == computed_alpha(webui, girl(), **QUICK)


def test_nothing_of_the_old_background_is_hidden_under_transparency(webui):
    """Or img2img brings it back."""
    reply = webui.post("/toonout/v1/cutout", {"image": encoded(girl((384, 512)))})
    cutout = opened(reply["images"][0])
    pixels = np.asarray(cutout).astype(int)
    hidden = pixels[pixels[..., 3] == 0][:, :3]
    assert len(hidden) > pixels.size // 40
    wall = np.array((60, 120, 220))
    assert np.abs(hidden - wall).max(1).min() > 40


# ---------------------------------------------------------------- no weights, no luck


def test_missing_weights_are_a_sentence_with_file_folder_and_link(webui, tmp_path):
    """The hub is out of reach for these servers: their environment says that they are offline."""
    told = [
        webui.request("/toonout/v1/cutout", {"image": encoded(girl()), "model": "toonout"}),
        webui.request(
            "/toonout/v1/cutout",
            {"image": encoded(girl()), "model": "toonout", "allow_download": False},
        ),
    ]
    girl().save(tmp_path / "girl.png")
    body = {"image": str(tmp_path / "girl.png"), "options": {"model": "toonout", **QUICK}}
    sentences = [json.loads(content)["detail"] for _, content in told]
    assert [status for status, _ in told] == [503, 503]
    reply = webui.post("/toonout-test/extras", body)
    sentences.append(reply.get("error", reply.get("text", "")))
    for sentence in sentences:
        assert "toonout" in sentence
        assert str(webui.base / "models" / "toonout") in sentence
        assert "https://huggingface.co/joelseytre/toonout" in sentence
    assert "Traceback" not in sentences[-1]


def test_an_embedded_model_that_is_gone_is_a_sentence_too(webui):
    path = next((webui.base / "extensions" / CLONE).rglob("toonout-mini.safetensors"))
    webui.post("/toonout/v1/unload", {})
    content = path.read_bytes()
    path.unlink()
    try:
        status, reply = webui.request("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
    finally:
        path.write_bytes(content)
    assert status == 503
    assert str(path) in json.loads(reply)["detail"]
    assert webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})["images"]


# ---------------------------------------------------------------- one after the other


@needs_checkpoint
def test_calls_wait_for_generation_and_for_each_other(webui):
    webui.post("/toonout-test/watch", {})
    body = {"image": encoded(girl()), **QUICK}
    with ThreadPoolExecutor(3) as pool:
        made = pool.submit(generate, webui, steps=4)
        cuts = [pool.submit(webui.post, "/toonout/v1/cutout", body) for _ in range(2)]
        (picture,), _ = made.result()
        # opaque: Forge gives it an alpha, whose last bit holds the infotext
        assert picture.convert("RGBA").getchannel("A").getextrema()[0] >= 254
        assert all(cut.result()["images"] for cut in cuts)
    spans = sorted(webui.get("/toonout-test/times"), key=lambda span: span[1])
    assert [kind for kind, *_ in spans].count("cut") == 2
    for (_, _, end), (_, begin, _) in pairwise(spans):
        assert end <= begin


def test_interrupt_ends_a_batch_within_one_picture(webui, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    for number in range(40):
        girl((640, 800)).save(source / f"{number:02d}.png")
    body = {"folder": str(source), "out": str(out)}
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(webui.request, "/toonout-test/extras", body)
        deadline = time.monotonic() + 60
        while not list(out.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert webui.status("/sdapi/v1/interrupt", {}) in (200, 204)
        at_interrupt = len(list(out.iterdir()))
        run.result()
    assert at_interrupt <= len(list(out.iterdir())) <= at_interrupt + 1 < 40


def test_too_large_a_request_is_refused(webui):
    """This client, as most, sends everything before it listens."""
    status, content = webui.request("/toonout/v1/cutout", {"image": "A" * 65_000_000})
    assert status == 413
    assert "at most 64 MB" in json.loads(content)["detail"]


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_documented_calls_work_with_large_pictures(webui, tmp_path, language):
    """A command line takes no megabytes."""
    text = (ROOT / "docs" / "webui.md").read_text("utf-8").partition("## HTTP")[2]
    code = text.partition(f"```{language}\n")[2].partition("```")[0]
    code = code.replace("http://127.0.0.1:7860", webui.url).replace('"toonout"', '"toonout-mini"')
    noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "girl.png")
    assert (tmp_path / "girl.png").stat().st_size > 500_000
    command = ["bash", "-c", code] if language == "sh" else [sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert load(tmp_path / "cutout.png").mode == "RGBA"


# ---------------------------------------------------------------- the device


def test_the_device_is_told_in_health_replies_and_once_in_the_console(webui):
    assert webui.get("/toonout/v1/health")["device"] == "cpu"
    for _ in range(2):
        reply = webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
        assert reply["info"]["device"] == "cpu"
    lines = [line for line in webui.log().splitlines() if "ToonOut: models run on" in line]
    assert lines == ["ToonOut: models run on cpu."]


# ---------------------------------------------------------------- several characters


def test_characters_have_masks_of_their_own(webui):
    picture = two()
    found = webui.post("/toonout/v1/instances", {"image": encoded(picture)})["instances"]
    assert [row["index"] for row in found] == [0, 1]
    assert found[0]["box_xyxy"][0] < found[1]["box_xyxy"][0]
    assert all(0 < row["score"] <= 1 for row in found)
    masks = [opened(row["mask"]).tobytes() for row in found]
    matte = computed_alpha(webui, picture)
    for left, right, whole in zip(*masks, matte, strict=True):
        assert not (left and right)
        assert left + right <= whole + 1
    again = webui.post("/toonout/v1/instances", {"image": encoded(picture)})["instances"]
    assert [row["box_xyxy"] for row in again] == [row["box_xyxy"] for row in found]


@needs_checkpoint
@pytest.mark.parametrize("inverse", [0, 1])
def test_masks_and_their_inverse_in_inpaint(webui, inverse):
    """White is painted again; "inpaint not masked" paints the background and keeps her."""
    picture = girl((64, 64))
    (mask,) = webui.post("/toonout/v1/mask", {"image": encoded(picture)})["images"]
    (painted, *_), _ = generate(
        webui, (), "img2img", init_images=[encoded(picture)], mask=mask, mask_blur=0,
        inpainting_mask_invert=inverse, inpaint_full_res=False, denoising_strength=1,
    )  # fmt: skip
    changed = np.abs(np.asarray(painted.convert("RGB")) - np.asarray(picture).astype(int)).max(2)
    white = np.asarray(opened(mask).convert("L"))
    inside, outside = changed[white > 160], changed[white < 96]  # hosts part at 128
    assert min(len(inside), len(outside)) > 50
    kept, redone = (inside, outside) if inverse else (outside, inside)
    assert np.median(kept) <= 2
    assert np.median(redone) > 10


# ---------------------------------------------------------------- every kind of file


def test_a_directory_of_odd_files_in_extras(webui, tmp_path):
    """The host does not look into folders below; the tab's page does, see test_browser.py."""
    source, out = tmp_path / "in", tmp_path / "out"
    out.mkdir()
    odd_files(source)
    body = {"folder": str(source), "out": str(out), "options": QUICK}
    reply = webui.post("/toonout-test/extras", body)
    assert "error" not in reply, reply
    if webui.kind == "sdnext":  # numbers come first
        assert len(files(webui, out)) == 5
        assert len(list(out.iterdir())) == 6
    else:
        names = ["a.png", "a_2.png", "cmyk.png", "deep.png", "palette.png", "猫.png"]
        assert list(files(webui, out)) == names
    assert {load(path).mode for path in out.iterdir()} == {"RGBA"}
    assert len(list(source.rglob("*.*"))) == 8


def odd_files(root: Path) -> None:
    """Names that meet, a folder below, a broken file, every mode."""
    (root / "sub").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "sub/a.png", "猫.webp"):
        girl().save(root / name)
    girl(mode="L").convert("I;16").save(root / "deep.png")
    girl(mode="P").save(root / "palette.png")
    girl(mode="CMYK").save(root / "cmyk.jpg")
    (root / "broken.png").write_bytes(b"\x89PNG")


# ---------------------------------------------------------------- what stays behind


def test_the_extension_is_found_without_being_on_the_path(webui):
    state = webui.get("/toonout-test/state")
    assert state["importable"] == []
    if webui.kind == "a1111":
        assert state["on_path"] == []


def test_memory_after_200_calls_and_unload(webui):
    """The host's own checkpoint has been loaded by the tests above."""
    body = {"image": encoded(girl()), **QUICK}
    for _ in range(20):
        webui.post("/toonout/v1/cutout", body)
    before = webui.rss_mb()
    for _ in range(200):
        webui.post("/toonout/v1/cutout", body)
    after = webui.rss_mb()
    print(f"RSS before {before:.0f} MB, after 200 calls {after:.0f} MB")
    assert after < before * 1.02
    assert webui.post("/toonout/v1/unload", {})["unloaded"] == ["toonout-mini"]
    assert webui.get("/toonout/v1/health")["loaded"] == []
    print(f"after unload {webui.rss_mb():.0f} MB")


def test_install_adds_nothing_and_is_quick(webui):
    """As the host runs it before its start."""
    python = os.environ.get("TOONOUT_WEBUI_PYTHON", sys.executable)
    script = webui.base / "extensions" / CLONE / "install.py"
    environment = {**os.environ, "PYTHONPATH": str(webui.path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, *arguments], cwd=webui.path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def installed() -> list[list[str]]:
        return [sorted(run("-m", "pip", word).stdout.splitlines()) for word in ("freeze", "check")]

    packages = installed()
    begin = time.monotonic()
    empty = run("-c", "import launch")
    launcher = time.monotonic() - begin
    begin = time.monotonic()
    done = run(str(script))
    took = time.monotonic() - begin - launcher
    print(f"install.py {took:.2f} s beside {launcher:.2f} s of the host's launcher")
    assert (done.returncode, done.stdout, empty.returncode) == (0, "", 0)
    assert done.stderr == empty.stderr
    assert took < 1
    assert installed() == packages


@needs_checkpoint
def test_what_the_hook_says_in_an_infotext(webui):
    _, texts = generate(webui, [True, "replace", "toonout-mini", "cutout", 64])
    assert "ToonOut keep: replace" in texts[-1]
    assert "ToonOut resolution: 64" in texts[-1]
    with Image.open(saved(webui)[-1]) as picture:
        assert "ToonOut keep: replace" in picture.info["parameters"]
    names = [row["name"] for row in webui.get("/sdapi/v1/script-info")]
    assert TITLE.lower() in names
