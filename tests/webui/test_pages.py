"""Tab and settings: built in both generations of gradio, and their handlers called."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from tests.webui import fake_host
from tests.webui.fake_host import part
from tests.webui.pictures import girl
from toonout_core.output.manifest import LOCK_NAME, claim

VERSIONS = ["3.41.2", "4.40.0"]


def components(host):
    return {component.elem_id: component for component in host.gradio.made if component.elem_id}


def build(host):
    host.call("before_ui")
    (((_, title, elem_id),),) = host.call("ui_tabs")
    assert (title, elem_id) == ("ToonOut", "toonout_tab")
    return components(host)


@pytest.fixture(params=VERSIONS)
def host(request, start):
    with start(request.param) as running:
        yield running


@pytest.fixture
def page(host):
    return build(host)


def press(page, button, **values):
    """Call the handler of a button with the values of its inputs, some replaced by id."""
    event = page[button].events[0]
    given = [values.get(part.elem_id, part.value) for part in event["inputs"]]
    return event["fn"](*given)


def test_every_id_is_given_once(host, page):
    ids = [component.elem_id for component in host.gradio.made if component.elem_id]
    assert len(ids) == len(set(ids))


def test_no_picture_pushes_the_buttons_out_of_sight(host, page):
    pictures = [made for made in page.values() if type(made).__name__ == "Image"]
    assert len(pictures) > 8
    for picture in pictures:
        assert picture.arguments["height"] <= 480, picture.elem_id
    given = {"toonout_tab_source": girl((60, 240), "RGBA"), "toonout_tab_resolution": 64}
    slider = press(page, "toonout_tab_start", **given)[2]
    assert "--toonout-shape: 0.250" in slider
    rules = (fake_host.ROOT / "style.css").read_text("utf-8")
    assert "width: min(100%, calc(480px * var(--toonout-shape, 1)))" in rules


def test_cut_out(host, page):
    given = {"toonout_tab_source": girl(mode="RGBA"), "toonout_tab_resolution": 64}
    cutout, mask, slider, status = press(page, "toonout_tab_start", **given)
    assert (cutout.mode, mask.mode) == ("RGBA", "RGB")
    assert slider.count("data:image/jpeg;base64,") == 2
    assert "Cut out with toonout-mini on the CPU." in status
    assert host.state.jobs == ["ToonOut"]


def test_the_first_picture_is_what_was_chosen(page):
    given = {"toonout_tab_source": girl(), "toonout_tab_resolution": 64}
    shown, mask, _, _ = press(page, "toonout_tab_start", toonout_tab_output="mask", **given)
    assert shown.mode == "RGB"
    assert shown.tobytes() == mask.tobytes()


def test_a_hazy_matte_gets_one_offer_of_a_better_model(page, monkeypatch):
    tab = part("tab_picture")
    given = {"toonout_tab_source": girl(), "toonout_tab_resolution": 64}
    monkeypatch.setattr(tab, "is_hazy", lambda alpha: False)
    assert "hazy" not in press(page, "toonout_tab_start", **given)[3]
    monkeypatch.setattr(tab, "is_hazy", lambda alpha: True)
    told = press(page, "toonout_tab_start", **given)[3]
    assert "The matte is hazy. The model toonout (885 MB to download) is better" in told
    assert "hazy" not in press(page, "toonout_tab_start", **given)[3]


def test_failures_are_sentences_on_the_page(page):
    assert "Choose a picture first" in press(page, "toonout_tab_start")[3]
    wrong = {"toonout_tab_source": girl(), "toonout_tab_colour": "<b>"}
    status = press(page, "toonout_tab_start", **wrong)[3]
    assert "a colour must be" in status
    assert "<b>" not in status


def test_compare(page):
    given = {
        "toonout_tab_source": girl(), "toonout_tab_resolution": 64,
        "toonout_tab_compared": ["toonout-mini", "no such"],
    }  # fmt: skip
    shown, status = press(page, "toonout_tab_compare", **given)
    assert [(picture.mode, name) for picture, name in shown] == [("RGBA", "toonout-mini")]
    assert "no such: The model must be one of" in status


def test_stop_is_the_hosts(host, page):
    assert page["toonout_tab_stop"].events[0]["queue"] is False
    press(page, "toonout_tab_stop")
    assert host.state.interrupted


# ---------------------------------------------------------------- sending


@pytest.fixture
def sending_page(host):
    return sending(host)


def sending(host):
    """A page whose img2img, inpaint and Extras tabs were made before ours."""
    from modules import infotext_utils

    image = host.gradio.Image
    width, height = host.gradio.Slider(), host.gradio.Slider()
    infotext_utils.paste_fields["img2img"] = {
        "init_img": image(), "fields": [(width, "Size-1"), (height, "Size-2")],
    }  # fmt: skip
    infotext_utils.paste_fields["extras"] = {"init_img": image(), "fields": None}
    canvas = image(elem_id="uuid", elem_classes=["logical_image_background"])
    infotext_utils.paste_fields["inpaint"] = {"init_img": canvas, "fields": []}
    host.call("before_ui")
    host.call("after_component", host.gradio.Radio(elem_id="img2img_mask_mode"))
    for elem_id, classes in (
        ("img_inpaint_base", []), ("img_inpaint_mask", []), ("uuid", ["logical_image_foreground"]),
    ):  # fmt: skip
        host.call("after_component", image(elem_id=elem_id, elem_classes=classes))
    (((_, _, _),),) = host.call("ui_tabs")
    return components(host)


def sent(page, button, **values):
    return press(page, f"toonout_tab_send_{button}", **values)


def test_img2img_gets_an_opaque_picture_and_its_size(sending_page):
    cutout = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    given = {"toonout_tab_cutout": cutout, "toonout_tab_send_colour": "blue"}
    flat, width, height = sent(sending_page, "img2img", **given)
    assert (flat.mode, width, height) == ("RGB", 3, 2)
    assert flat.getpixel((0, 0)) == (0, 0, 255)


def test_inpaint_gets_picture_and_mask(sending_page):
    mask = Image.new("RGB", (4, 4), "white")
    given = {"toonout_tab_source": girl((4, 4), "RGBA"), "toonout_tab_mask": mask}
    base, painted, *size, mode = sent(sending_page, "inpaint", **given)
    assert (base.mode, painted.mode) == ("RGB", "RGB")
    assert (size, mode) == ([4, 4], "Inpaint masked")
    given["toonout_tab_send_repaint"] = "the background"
    picture, drawn, *size, mode = sent(sending_page, "canvas", **given)
    assert (picture.mode, drawn.mode) == ("RGB", "RGBA")
    assert (size, mode) == ([4, 4], "Inpaint not masked")
    assert drawn.getpixel((0, 0)) == (255, 255, 255, 255)


def test_the_settings_may_keep_the_size(host):
    host.opts.data["send_size"] = False
    page = sending(host)
    mask = Image.new("RGB", (4, 4), "white")
    given = {"toonout_tab_source": girl((4, 4)), "toonout_tab_mask": mask}
    assert len(sent(page, "inpaint", **given)) == 3  # picture, mask, mode
    cutout = {"toonout_tab_cutout": girl(mode="RGBA"), "toonout_tab_send_colour": "blue"}
    assert sent(page, "img2img", **cutout).mode == "RGB"


def test_extras_gets_the_cutout(sending_page):
    cutout = girl(mode="RGBA")
    assert sent(sending_page, "extras", toonout_tab_cutout=cutout) is cutout


def test_extras_gets_no_hidden_colours_where_it_ignores_alpha(sending_page, monkeypatch):
    monkeypatch.setattr(part("hosts"), "extras_keep_alpha", lambda: False)
    cutout = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    seen = sent(sending_page, "extras", toonout_tab_cutout=cutout, toonout_tab_send_colour="blue")
    assert (seen.mode, seen.getpixel((1, 1))) == ("RGB", (0, 0, 255))


def test_each_button_then_shows_its_tab(host, sending_page):
    key = "js" if host.gradio.__version__.startswith("4") else "_js"
    for name, function in (
        ("img2img", "switch_to_img2img()"), ("inpaint", "switch_to_img2img_tab(4)"),
        ("canvas", "switch_to_inpaint()"), ("extras", "switch_to_extras()"),
    ):  # fmt: skip
        assert function in sending_page[f"toonout_tab_send_{name}"].events[1][key]


def test_a_host_without_a_place_gets_no_button_for_it(page):
    assert not [name for name in page if "_send_" in name and "Button" in repr(page[name])]


def test_nothing_to_send_and_a_cropped_mask_are_told(host, sending_page):
    with pytest.raises(host.gradio.Error, match="cut a picture out first"):
        sent(sending_page, "img2img")
    given = {"toonout_tab_source": girl(), "toonout_tab_mask": girl((5, 5))}
    with pytest.raises(host.gradio.Error, match="without Crop"):
        sent(sending_page, "inpaint", **given)


# ---------------------------------------------------------------- a folder


@pytest.fixture
def folder(tmp_path):
    """Names that collide, a folder below, a broken file."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "sub/a.png", "猫.webp"):
        girl().save(root / name)
    girl(mode="L").convert("I;16").save(root / "deep.png")
    girl(mode="P").save(root / "palette.png")
    girl(mode="CMYK").save(root / "cmyk.jpg")
    (root / "broken.png").write_bytes(b"\x89PNG")
    return root


def run_folder(page, folder, out, **values):
    given = {
        "toonout_folder_input": str(folder), "toonout_folder_results": str(out),
        "toonout_folder_resolution": 64, **values,
    }  # fmt: skip
    return list(press(page, "toonout_folder_start", **given))


def test_a_folder_loses_nothing(page, folder, tmp_path):
    out = tmp_path / "out"
    lines = run_folder(page, folder, out)
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert found == sorted(
        ["a.jpg.png", "a.png.png", "cmyk.png", "deep.png", "palette.png", "sub/a.png", "猫.png"]
    )
    assert "7 done, 1 failed" in lines[-1]
    assert "broken.png" in lines[-1]
    for name in found:
        with Image.open(out / name) as picture:
            assert picture.mode == "RGBA"
    assert len(list(folder.rglob("*.*"))) == 8
    again = run_folder(page, folder, out)
    assert "7 done before" in again[-1]


def test_results_that_are_there_are_said_first(page, folder, tmp_path):
    out = tmp_path / "out"
    assert "there already" not in run_folder(page, folder / "sub", out)[0]
    assert "there already" not in run_folder(page, folder / "sub", out)[0]  # "Go on" is on
    again = run_folder(page, folder / "sub", out, toonout_folder_resume=False)
    assert "1 result is there already; new ones get new numbers." in again[0]
    assert all("there already" in line for line in again)
    assert "1 saved under a new number" in again[-1]


def test_each_picture_takes_its_turn_in_the_queue(host, page, folder, tmp_path):
    press_results = run_folder(page, folder / "sub", tmp_path / "out")
    assert len(press_results) >= 3
    assert host.state.jobs.count("ToonOut") >= 1
    assert not host.queue_lock.locked()


def test_stop_between_two_pictures(page, folder, tmp_path):
    given = {
        "toonout_folder_input": str(folder), "toonout_folder_results": str(tmp_path / "out"),
        "toonout_folder_resolution": 64,
    }  # fmt: skip
    running = press(page, "toonout_folder_start", **given)
    next(running)
    next(running)
    press(page, "toonout_folder_stop")
    assert "then interrupted" in list(running)[-1]


def test_a_folder_that_is_in_use_says_by_whom(page, folder, tmp_path):
    out = tmp_path / "out"
    with claim(out, wait=False):
        lines = run_folder(page, folder / "sub", out)
    assert "another run writes to it: process" in lines[-1]
    assert list(out.iterdir()) == []
    assert "1 done" in run_folder(page, folder / "sub", out)[-1]
    assert not (out / LOCK_NAME).exists()


def test_a_stopped_run_gives_the_folder_back(page, folder, tmp_path):
    given = {
        "toonout_folder_input": str(folder), "toonout_folder_results": str(tmp_path / "out"),
        "toonout_folder_resolution": 64,
    }  # fmt: skip
    running = press(page, "toonout_folder_start", **given)
    next(running)
    next(running)
    running.close()  # somebody has closed the page
    assert "then interrupted" not in run_folder(page, folder, tmp_path / "out")[-1]


def test_what_a_manifest_says_costs_nobody_a_file(page, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "thesis.txt").write_text("words")
    record = {
        "source": str(folder / "sub" / "a.png"), "size": 1, "mtime_ns": 1, "settings": "",
        "status": "done", "outputs": ["a.png", "../thesis.txt"],
    }  # fmt: skip
    (out / ".toonout.jsonl").write_text(json.dumps(record) + "\n[1]\n")
    assert "1 done" in run_folder(page, folder / "sub", out)[-1]
    assert (tmp_path / "thesis.txt").read_text() == "words"


def test_a_retouched_result_stays(page, folder, tmp_path):
    out = tmp_path / "out"
    run_folder(page, folder / "sub", out)
    girl().save(out / "a.png")
    mine = (out / "a.png").read_bytes()
    run_folder(page, folder / "sub", out, toonout_folder_output="mask")
    run_folder(page, folder / "sub", out, toonout_folder_resolution=96)
    assert (out / "a.png").read_bytes() == mine
    assert (out / "a_2.png").is_file()


def test_masks_beside_cutouts(page, folder, tmp_path):
    out = tmp_path / "out"
    run_folder(page, folder / "sub", out, toonout_folder_output="cutout + mask")
    assert sorted(path.name for path in out.glob("*.png")) == ["a.mask.png", "a.png"]
    with Image.open(out / "a.png") as cutout, Image.open(out / "a.mask.png") as mask:
        assert mask.mode == "L"
        assert mask.tobytes() == cutout.getchannel("A").tobytes()
    run_folder(page, folder / "sub", tmp_path / "masks", toonout_folder_output="mask")
    assert [path.name for path in (tmp_path / "masks").glob("*.png")] == ["a.mask.png"]


def test_a_background_picture_is_fitted_and_remembered(page, folder, tmp_path):
    """A wide green one, shown whole, leaves bars of the colour above and below."""
    out = tmp_path / "out"
    given = {
        "toonout_folder_background": "picture", "toonout_folder_background_fit": "contain",
        "toonout_folder_colour": "red", "toonout_folder_format": "png",
    }  # fmt: skip
    wide = Image.new("RGB", (96, 24), (0, 255, 0))
    run_folder(page, folder / "sub", out, toonout_folder_background_picture=wide, **given)
    with Image.open(out / "a.png") as picture:
        assert picture.mode == "RGB"
        for xy, colour in (((1, 1), (255, 0, 0)), ((1, 64), (0, 255, 0))):
            assert picture.getpixel(xy) == pytest.approx(colour, abs=4)
    again = {**given, "toonout_folder_background_picture": wide}
    assert "1 done before" in run_folder(page, folder / "sub", out, **again)[-1]
    again["toonout_folder_background_picture"] = Image.new("RGB", (96, 24), "blue")
    assert "1 done before" not in run_folder(page, folder / "sub", out, **again)[-1]


def test_uploads_keep_their_names(page, tmp_path):
    uploads = []
    for number, name in enumerate(("girl.png", "girl.jpg")):
        path = tmp_path / f"tmp{number}{Path(name).suffix}"
        girl().save(path)
        uploads.append(SimpleNamespace(name=str(path), orig_name=name))
    out = tmp_path / "out"
    lines = run_folder(page, "", out, toonout_folder_files=uploads)
    assert sorted(path.name for path in out.glob("*.png")) == ["girl.jpg.png", "girl.png"]
    assert "2 done" in lines[-1]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"toonout_folder_input": ""}, "there must be pictures or a folder"),
        ({"toonout_folder_format": "jpg"}, "must be saved as png, webp or tiff"),
        ({"toonout_folder_background": "picture"}, "must come with a picture"),
    ],
)
def test_wrong_wishes_for_a_folder(page, folder, tmp_path, values, sentence):
    (line,) = run_folder(page, folder, tmp_path / "out", **values)
    assert sentence in line


def test_a_host_that_hides_folders_is_obeyed(start, folder, tmp_path):
    with start(hide_ui_dir_config=True) as host:
        (line,) = run_folder(build(host), folder, tmp_path / "out")
    assert "pictures must be uploaded here" in line


# ---------------------------------------------------------------- models


def test_the_table_of_models_names_folders(host, page):
    table = part("tab_models").overview()
    assert "comes with it" in table
    assert str(host.folder / "models" / "toonout") in table


def test_a_download_tells_progress_and_can_be_cancelled(page, monkeypatch):
    models = part("tab_models")

    def fetch(row, host):
        with host.progress(100, f"downloading {row.name} (MB)") as step:
            while True:
                step(1)

    monkeypatch.setattr(models, "download", fetch)
    monkeypatch.setattr(models, "POLL_SECONDS", 0.01)
    running = press(page, "toonout_models_download", toonout_models_model="toonout")
    told = next(running)[0]
    assert "downloading toonout (MB)" in told or "Waiting" in told
    press(page, "toonout_models_cancel")
    assert "goes on" in list(running)[-1][0]


def test_a_download_that_fails_is_a_sentence(page, monkeypatch):
    models = part("tab_models")

    def fetch(row, host):
        raise models.ToonOutError("no network")

    monkeypatch.setattr(models, "download", fetch)
    assert "no network" in list(press(page, "toonout_models_download"))[-1][0]
    none = press(page, "toonout_models_download", toonout_models_model=None)
    assert "Choose one of the models" in list(none)[-1][0]


def test_unload(host, page):
    press(page, "toonout_tab_start", toonout_tab_source=girl(), toonout_tab_resolution=64)
    assert "Unloaded: toonout-mini." in press(page, "toonout_models_unload")[0]
    assert "No model was loaded." in press(page, "toonout_models_unload")[0]


# ---------------------------------------------------------------- settings


def test_every_setting_that_is_read_is_on_the_page(host):
    host.call("ui_settings")
    sources = (fake_host.ROOT / "toonout_webui").glob("*.py")
    import re

    read = {
        key
        for path in sources
        for key in re.findall(r'option\(\s*"(toonout_\w+)"', path.read_text("utf-8"))
    }
    assert read == set(host.opts.added)
    assert {info.section for info in host.opts.added.values()} == {("toonout", "ToonOut")}
    assert {info.category_id for info in host.opts.added.values()} == {"postprocessing"}


def test_settings_reach_the_work(host):
    host.call("ui_settings")
    host.opts.data["toonout_model"] = "toonout"
    assert part("cutting").wish({}).model == "toonout"
    assert part("cutting").wish({"model": "birefnet"}).model == "birefnet"


# ---------------------------------------------------------------- characters


def test_characters_are_numbered_and_picked(page, monkeypatch):
    from tests.webui.test_routes import halves, two

    monkeypatch.setattr(part("characters").DETECTORS, "segmenter", halves)
    given = {"toonout_characters_source": two(), "toonout_characters_numbers": "1"}
    overlay, each, cutout, mask, status = press(page, "toonout_characters_start", **given)
    assert overlay.size == two().size
    assert [name for _, name in each] == ["0", "1"]
    assert each[0][0].width < two().width
    assert cutout.getchannel("A").point(lambda v: 255 * (v > 128)).getbbox()[0] >= 128
    assert mask.getchannel(0).tobytes() == cutout.getchannel("A").tobytes()
    assert "2 found (detector), picked: 1" in status
    wrong = {**given, "toonout_characters_numbers": "7"}
    assert "7" in press(page, "toonout_characters_start", **wrong)[-1]
    assert "Choose a picture" in press(page, "toonout_characters_start")[-1]


def test_characters_become_files_under_their_numbers(host, page, monkeypatch, tmp_path):
    from tests.webui.test_routes import halves, two

    asked = []

    def counted(detector, options):
        asked.append(detector)
        return halves(detector, options)

    monkeypatch.setattr(part("characters").DETECTORS, "segmenter", counted)
    host.opts.data["outdir_samples"] = str(tmp_path)
    given = {"toonout_characters_source": two(), "toonout_characters_numbers": "1"}
    press(page, "toonout_characters_start", **given)
    given["toonout_characters_kinds"] = ["masks", "mattes", "cutouts", "background", "overlay"]
    for _ in range(2):
        assert "5 files" in press(page, "toonout_characters_save", **given)
    assert len(asked) == 1  # what the page shows is not found again
    names = sorted(path.name.partition(".")[2] for path in (tmp_path / "toonout").iterdir())
    once = ["cutout", "mask", "matte"]
    assert names == sorted(
        2 * [*(f"instance01.{kind}.png" for kind in once), "background.png", "overlay.png"]
    )
    for path in (tmp_path / "toonout").glob("*.cutout.png"):
        with Image.open(path) as cutout:
            assert cutout.mode == "RGBA"
            assert cutout.width < two().width
    given["toonout_characters_kinds"] = []
    assert "Choose what to save" in press(page, "toonout_characters_save", **given)
    assert "Choose a picture" in press(page, "toonout_characters_save")


def test_characters_become_layers_of_a_psd(host, page, monkeypatch, tmp_path):
    from psd_tools import PSDImage

    from tests.webui.test_routes import halves, two

    monkeypatch.setattr(part("characters").DETECTORS, "segmenter", halves)
    host.opts.data["outdir_samples"] = str(tmp_path)
    given = {"toonout_characters_source": two(), "toonout_characters_numbers": "1"}
    assert ".psd" in press(page, "toonout_characters_save_psd", **given)
    (path,) = (tmp_path / "toonout").glob("*.psd")
    psd = PSDImage.open(path)
    assert psd.size == two().size
    assert [layer.name for layer in psd] == ["picture", "background", "characters"]
    assert [layer.name for layer in psd[2]] == ["character 1"]
    assert "Choose a picture" in press(page, "toonout_characters_save_psd")
