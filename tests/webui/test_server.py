"""In a real WebUI: what a fake one can not show. See docs/testing.md for the variables."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.webui.pictures import QUICK, encoded, girl, opened
from tests.webui.server import CLONE, WebUIServer, install_clone, install_probe, kind_of

pytestmark = pytest.mark.webui

TITLE = "ToonOut cutout after generation"
PARAMETERS = "1girl\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 96x128, Model: x"


def start(base: Path, *flags: str) -> WebUIServer:
    python = os.environ.get("TOONOUT_WEBUI_PYTHON", sys.executable)
    return WebUIServer(Path(os.environ["TOONOUT_WEBUI_DIR"]), python, base, *flags)


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("webui")
    install_clone(base)
    install_probe(base)
    with start(base, "--api") as server:
        yield server


def files(webui, folder: Path) -> dict[str, Path]:
    """By name; SD.Next puts a number before it, and writes in a thread of its own."""
    time.sleep(1 if webui.kind == "sdnext" else 0)
    return {re.sub(r"^\d{5}-", "", path.name): path for path in sorted(folder.iterdir())}


def load(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


def test_it_starts_without_a_word_of_complaint(webui):
    health = webui.get("/toonout/v1/health")
    assert health["host"] == ("reforge" if webui.kind == "classic" else webui.kind)
    lines = webui.log().splitlines()
    assert not [line for line in lines if "ToonOut" in line and "rror" in line]
    assert webui.get("/toonout-test/state")["importable"] == []


def test_routes(webui):
    reply = webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
    picture = opened(reply["images"][0])
    assert (picture.mode, picture.getchannel("A").getextrema()[0]) == ("RGBA", 0)
    status, content = webui.request("/toonout/v1/cutout", {"image": "/etc/hostname"})
    assert (status, b"as base64 or as a data URI" in content) == (422, True)
    assert "/toonout/v1/cutout" in webui.get("/openapi.json")["paths"]


def test_parallel_calls_wait_for_each_other(webui):
    body = {"image": encoded(girl()), **QUICK}
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: webui.post("/toonout/v1/cutout", body), range(8)))
    assert len({reply["images"][0] for reply in replies}) == 1


def test_the_hosts_api_leaves_pictures_alone(webui):
    """It calls us with every argument None."""
    body = {"image": encoded(girl()), "upscaling_resize": 1}
    status, content = webui.request("/sdapi/v1/extra-single-image", body)
    if status == 500 and b"ResProcessImage" in content:
        pytest.skip("this host cannot answer with a picture, with or without extensions")
    assert status == 200, content[:500]
    assert opened(json.loads(content)["image"]).mode == "RGB"


# ---------------------------------------------------------------- Extras


@pytest.fixture
def folder(tmp_path):
    """A picture with and one without what generation writes into it."""
    info = PngInfo()
    info.add_text("parameters", PARAMETERS)
    (tmp_path / "in").mkdir()
    girl().save(tmp_path / "in" / "with.png", pnginfo=info)
    girl().save(tmp_path / "in" / "without.png")
    return tmp_path / "in"


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_extras_save_alpha_in_every_format(webui, folder, tmp_path, kind):
    out = tmp_path / "out"
    out.mkdir()
    body = {
        "folder": str(folder), "out": str(out), "settings": {"samples_format": kind},
        "options": {**QUICK, "output": "cutout + mask"},
    }  # fmt: skip
    reply = webui.post("/toonout-test/extras", body)
    assert "error" not in reply, reply
    written = files(webui, out)
    assert [path.suffix for path in written.values()] == [".png"] * 4
    api = webui.post("/toonout/v1/mask", {"image": encoded(girl()), **QUICK})
    wanted = opened(api["images"][0]).tobytes()
    for name in ("with", "without"):
        cutout, mask = load(written[f"{name}.png"]), load(written[f"{name}-mask.png"])
        assert (cutout.mode, mask.mode) == ("RGBA", "L")
        assert cutout.getchannel("A").tobytes() == wanted
        assert mask.tobytes() == wanted


def test_extras_tell_what_was_done_and_fail_with_a_sentence(webui, folder, tmp_path):
    image = str(folder / "without.png")
    reply = webui.post("/toonout-test/extras", {"image": image, "options": QUICK})
    assert "model=toonout-mini" in reply["text"]
    wrong = {"image": image, "options": {"background": "picture", **QUICK}}
    reply = webui.post("/toonout-test/extras", wrong)
    assert "background must come with a picture" in reply.get("error", reply.get("text"))


def test_one_bad_picture_does_not_stop_a_batch(webui, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    options = {"background": "picture", **QUICK}
    body = {"folder": str(folder), "out": str(out), "options": options}
    reply = webui.post("/toonout-test/extras", body)
    assert "FAILED" in reply["text"]
    assert len(files(webui, out)) == 2


def test_a_directory_loses_nothing(webui, tmp_path):
    """The host itself calls all three a.png."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    for name in ("a.png", "a.jpg", "a.webp", "猫.png"):
        girl().save(source / name)
    (source / "broken.png").write_bytes(b"xx")
    body = {"folder": str(source), "out": str(out), "options": QUICK}
    webui.post("/toonout-test/extras", body)
    if webui.kind == "sdnext":  # numbers come first
        assert len(list(out.iterdir())) == 4
    else:
        assert list(files(webui, out)) == ["a.png", "a_2.png", "a_3.png", "猫.png"]


def test_a_truncated_file_in_a_directory_is_left_out_and_named(webui, tmp_path):
    """Hosts open files lazily, and would die when they save this one."""
    if webui.kind == "sdnext":
        pytest.skip("this host calls no script before the others")
    if webui.kind != "a1111":
        pytest.skip("this host itself reads pixels first, in search of a hidden infotext")
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    for number in range(20):
        girl((96, 128)).save(source / f"{number:02d}.jpg")
    whole = (source / "07.jpg").read_bytes()
    (source / "07.jpg").write_bytes(whole[: len(whole) // 2])
    reply = webui.post(
        "/toonout-test/extras", {"folder": str(source), "out": str(out), "options": QUICK}
    )
    assert "error" not in reply, reply
    written = files(webui, out)
    assert len(written) == 19
    assert "07.png" not in written
    assert all(load(path).mode == "RGBA" for path in written.values())
    assert "07.jpg: The picture cannot be read" in webui.log()


def test_a_batch_ends_at_once_where_its_model_is_missing(webui, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    options = {"model": "isnet-anime", "allow_download": False, **QUICK}
    body = {"folder": str(folder), "out": str(out), "options": options}
    reply = webui.post("/toonout-test/extras", body)
    assert "isnet-anime must be in one of the folders" in reply.get("error", "")
    assert list(out.iterdir()) == []


def test_controlnet(webui):
    """Forge has ControlNet in itself."""
    modules = webui.request("/controlnet/module_list")
    if modules[0] != 200:
        pytest.skip("this host has no ControlNet")
    names = {"toonout_mask", "toonout_on_black", "toonout_characters"}
    assert names <= set(json.loads(modules[1])["module_list"])
    body = {"controlnet_module": "toonout_mask", "controlnet_input_images": [encoded(girl())]}
    (image,) = webui.post("/controlnet/detect", body)["images"]
    assert opened(image).size == girl().size
    shown = opened(image).convert("L")
    assert shown.getpixel((48, 40)) > 200  # her face
    assert shown.getpixel((2, 2)) < 60


# ---------------------------------------------------------------- generation


needs_checkpoint = pytest.mark.skipif(
    not os.environ.get("TOONOUT_WEBUI_CHECKPOINT"), reason="needs TOONOUT_WEBUI_CHECKPOINT"
)


def generate(webui, args=(), path="txt2img", **more):
    body = {
        "prompt": "a", "steps": 1, "width": 64, "height": 64, "cfg_scale": 1, "seed": 1,
        "sampler_name": "Euler", "save_images": True, "do_not_save_grid": True, **more,
    }  # fmt: skip
    if args:
        body["alwayson_scripts"] = {TITLE: {"args": list(args)}}
    if webui.kind == "sdnext":  # its answers know no override_settings
        webui.post("/sdapi/v1/options", {"samples_format": "png"})
    reply = webui.post(f"/sdapi/v1/{path}", body)
    return [opened(image) for image in reply["images"]], json.loads(reply["info"])["infotexts"]


def saved(webui):
    return [path for path in webui.pictures() if path.suffix == ".png"]


@needs_checkpoint
def test_generated_pictures(webui):
    pictures, texts = generate(webui, [True, "replace"])
    assert [picture.mode for picture in pictures] == ["RGBA"]
    assert pictures[0].getchannel("A").getextrema()[0] == 0
    assert "ToonOut keep: replace, ToonOut model: toonout-mini" in texts[-1]
    written = load(saved(webui)[-1])
    assert written.tobytes() == pictures[0].tobytes()
    assert "ToonOut keep" in written.info["parameters"]


@needs_checkpoint
def test_keep_both_with_masks_in_a_batch(webui):
    before = len(saved(webui))
    args = [True, "keep both", "toonout-mini", "cutout + mask", 64]
    pictures, _ = generate(webui, args, batch_size=2)
    new = [load(path) for path in saved(webui)[before:]]
    masks = [picture for picture in new if picture.mode == "L"]
    names = [path.name for path in saved(webui)[before:]]
    assert len(masks) == 2
    assert sum("-toonout." in name for name in names) == 2
    assert sum("-toonout-mask." in name for name in names) == 2
    assert len(pictures) >= 6


@needs_checkpoint
def test_a_failure_keeps_the_picture_and_is_told(webui):
    pictures, texts = generate(webui, [True, "replace", "no such model"])
    assert len(pictures) == 1
    # hosts quote what has a colon in it
    assert re.search(r'ToonOut error: "?not cut out: The model must be one of', texts[-1]), texts[
        -1
    ]


@needs_checkpoint
def test_img2img(webui):
    init = [encoded(girl((64, 64)))]
    pictures, _ = generate(
        webui, [True, "replace"], "img2img", init_images=init, denoising_strength=0.01
    )
    assert pictures[0].mode == "RGBA"


@needs_checkpoint
def test_after_hires_fix(webui):
    own = {"hr_upscaler": "Latent", "hr_additional_modules": []}
    if webui.kind == "sdnext":
        own = {"hr_upscaler": "Latent Nearest", "hr_resize_mode": 1, "hr_force": True}
    pictures, _ = generate(
        webui, [True, "replace"], enable_hr=True, hr_scale=2, denoising_strength=0.9,
        hr_second_pass_steps=1, **own,
    )  # fmt: skip
    assert [(picture.mode, picture.size) for picture in pictures] == [("RGBA", (128, 128))]


@needs_checkpoint
def test_an_infotext_is_read(webui):
    if webui.kind == "sdnext":
        pytest.skip("this host's API reads no infotexts")
    infotext = (
        "a\nSteps: 1, Sampler: Euler, CFG scale: 1, Seed: 1, Size: 64x64, "
        "ToonOut keep: replace, ToonOut model: toonout-mini, ToonOut output: mask"
    )
    plain = {"prompt": "a", "infotext": infotext.partition(", ToonOut")[0], "save_images": False}
    if webui.status("/sdapi/v1/txt2img", plain) != 200:
        pytest.skip("this host's own reading of infotexts over its API fails")
    _, texts = generate(webui, infotext=infotext)
    assert "ToonOut keep: replace" in texts[-1]
    assert "ToonOut output: mask" in texts[-1]


@needs_checkpoint
def test_plot(webui):
    name = "xyz grid script" if webui.kind == "sdnext" else "x/y/z plot"
    plots = [row for row in webui.get("/sdapi/v1/script-info") if row["name"] == name]
    info = next(row for row in plots if not row["is_img2img"])
    labels = info["args"][0]["choices"]
    axis = labels.index("[ToonOut] output")
    args = [entry["value"] for entry in info["args"]]
    for number, entry in enumerate(info["args"]):
        if args[number] is None:
            args[number] = False if "box" in (entry["label"] or "").lower() else ""
    args[:9] = [axis, "cutout, mask", ["cutout", "mask"], 0, "", [], 0, "", []]
    pictures, _ = generate(
        webui, [False, "replace", "toonout-mini", "cutout", 64],
        script_name=name, script_args=args,
    )  # fmt: skip
    assert len(pictures) >= 1
    assert "rror" not in "".join(
        line for line in webui.log().splitlines()[-5:] if "ToonOut" in line
    )


def test_memory_stays_level(webui):
    """After generation: the checkpoint of the host, which loads in its own time, is in memory."""
    body = {"image": encoded(girl()), **QUICK}
    for _ in range(20):
        webui.post("/toonout/v1/cutout", body)
    before = webui.rss_mb()
    for _ in range(60):
        webui.post("/toonout/v1/cutout", body)
    assert webui.rss_mb() < before * 1.02 + 5


# ---------------------------------------------------------------- starting in other ways


def test_reload_ui_brings_new_code_and_no_second_routes(webui):
    """The last test of this server."""
    if webui.kind == "sdnext":
        pytest.skip("this host restarts as a whole, in a new process")
    webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
    before = webui.get("/toonout-test/state")
    path = webui.base / "extensions" / CLONE / "toonout_core" / "__init__.py"
    text, alive = path.read_text("utf-8"), []
    for version in ("9.9.8", "9.9.9"):
        path.write_text(text + f'\n__version__ = "{version}"\n', "utf-8")
        starts = webui.starts()
        webui.request("/toonout-test/reload", {})
        webui.wait(starts=starts + 1)
        assert webui.get("/toonout/v1/health")["version"] == version
        webui.post("/toonout/v1/cutout", {"image": encoded(girl()), **QUICK})
        after = webui.get("/toonout-test/state")
        alive.append(after["alive"])
    assert after["routes"] == 1
    assert after["threads"] <= before["threads"] + 5
    # the last grid that was plotted may keep what it was made with, but nothing adds up
    assert alive[1] == alive[0] < 2 * before["alive"]
    assert after["tensor_bytes"] <= before["tensor_bytes"] * 1.02


def test_without_a_page_with_credentials_and_a_second_clone(tmp_path):
    install_clone(tmp_path)
    install_clone(tmp_path, "second")
    flags = ["--api", "--nowebui", "--api-auth", "a:b"]
    if kind_of(Path(os.environ["TOONOUT_WEBUI_DIR"])) == "sdnext":
        flags = ["--auth", "a:b"]  # its page is always there
    with start(tmp_path, *flags) as webui:
        for path, body in (("health", None), ("models", None), ("cutout", {}), ("unload", {})):
            assert webui.status(f"/toonout/v1/{path}", body) == 401, path
            assert webui.status(f"/toonout/v1/{path}", body, "a:c") == 401, path
        body = {"image": encoded(girl()), **QUICK}
        status, content = webui.request("/toonout/v1/cutout", body, "a:b")
        assert status == 200
        assert opened(json.loads(content)["images"][0]).mode == "RGBA"
        lines = webui.ours()
        assert len(lines) == 2
        assert "stays off" in lines[0]
        assert "models run on" in lines[1]


def test_a_broken_core_is_one_line_and_the_host_runs(tmp_path):
    install_probe(tmp_path)
    clone = install_clone(tmp_path)
    (clone / "toonout_core" / "__init__.py").write_text("raise ImportError('no luck')", "utf-8")
    webui = start(tmp_path, "--api")
    webui.wait = lambda: WebUIServer.wait(webui, "/toonout-test/state")
    with webui:
        lines = webui.ours()
        assert len(lines) == 1
        assert "cannot start: ImportError: no luck." in lines[0]
        assert webui.log().count("no luck") == 1
