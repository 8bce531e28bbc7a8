"""The script beside txt2img and img2img, the callback before saving, the axes of the plot."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.webui.fake_host import part
from tests.webui.pictures import girl

# enable, keep, then options in the order of the record: model, output, resolution
QUICK = ("toonout-mini", "cutout", 64)


class Processing(SimpleNamespace):
    """The host's `p`."""

    def __init__(self, **attributes):
        super().__init__(
            extra_generation_params={}, comments=[], outpath_samples="out", seed=1,
            all_seeds=[1, 2], all_prompts=["a", "b"], **attributes,
        )  # fmt: skip

    def comment(self, text):
        self.comments.append(text)

    def save_samples(self):
        return True


@pytest.fixture
def script(host):
    return host.script.ToonOutGenerate()


def generate(host, script, *args, count=1, p=None):
    """The host's order of calls for `count` pictures."""
    p = p or Processing()
    script.process(p, *args)
    images = []
    for index in range(count):
        pp = SimpleNamespace(image=girl())
        script.postprocess_image(p, pp, *args)
        script.postprocess_image_after_composite(p, pp, *args)
        host.save_image(pp.image, "out", "", index + 1, "a", "png", info="a, ToonOut keep: x")
        images.append(pp.image)
    processed = SimpleNamespace(
        images=images, infotexts=[f"text {i}" for i in range(count)], index_of_first_image=0
    )
    script.postprocess(p, processed, *args)
    return p, processed


def test_off_changes_nothing(host, script):
    p, processed = generate(host, script, False)
    assert [image.mode for image in processed.images] == ["RGB"]
    assert p.extra_generation_params == {}


def test_arguments_may_all_be_none(host, script):
    _, processed = generate(host, script, *[None] * len(script.ui(False)))
    assert len(processed.images) == 1


def test_two_arguments_are_enough_for_the_api(host, script):
    _, processed = generate(host, script, True, "replace")
    assert [image.mode for image in processed.images] == ["RGBA"]


def test_keep_both_shows_and_saves_the_cutouts_beside(host, script):
    p, processed = generate(host, script, True, "keep both", *QUICK, count=2)
    assert [image.mode for image in processed.images] == ["RGB", "RGB", "RGBA", "RGBA"]
    assert processed.infotexts[2:] == ["text 0", "text 1"]
    names = [name for name, _, _ in host.saved]
    assert names == ["out/1.png", "out/2.png", "out/1-toonout.png", "out/2-toonout.png"]
    assert p.extra_generation_params["ToonOut keep"] == "keep both"
    assert p.extra_generation_params["ToonOut resolution"] == "64"


def test_a_mask_has_a_file_of_its_own(host, script):
    _, processed = generate(host, script, True, "replace", "toonout-mini", "cutout + mask", 64)
    assert [image.mode for image in processed.images] == ["RGBA", "RGB"]
    name, written, _ = host.saved[-1]
    assert (name, written.mode) == ("out/1-toonout-mask.png", "L")


@pytest.mark.parametrize("mode", ["Alpha", "RGB"])
@pytest.mark.parametrize("keep", ["replace", "keep both"])
def test_alpha_survives_a_host_that_writes_into_pictures(host, script, keep, mode):
    host.stealth = host.opts.data["stealth_pnginfo_option"] = mode
    generate(host, script, True, keep, "toonout-mini", "cutout + mask", 64)
    written = {name: image for name, image, _ in host.saved}
    cutout = written["out/1.png" if keep == "replace" else "out/1-toonout.png"]
    assert cutout.getchannel("A").getextrema()[0] == 0
    assert written["out/1-toonout-mask.png"].mode == "L"
    mask = written["out/1-toonout-mask.png"].tobytes()
    assert mask == cutout.getchannel("A").tobytes()


def test_alpha_comes_back_where_nothing_was_saved(host, script):
    host.opts.data["stealth_pnginfo_option"] = "RGB"
    p, pp = Processing(), SimpleNamespace(image=girl())
    script.process(p, True, "replace")
    script.postprocess_image_after_composite(p, pp, True, "replace")
    assert pp.image.mode == "RGB"
    script.postprocess(p, SimpleNamespace(images=[pp.image], infotexts=["a"]), True, "replace")
    assert (pp.image.mode, pp.image.getchannel("A").getextrema()[0]) == ("RGBA", 0)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp", "JPG", "gif"])
def test_formats_without_transparency_become_png(host, suffix):
    cutout = part("keeping_alpha").mark(girl(mode="RGBA"))
    host.save_image(cutout, "out", "", 1, "", suffix)
    assert host.saved[0][0] == "out/1.png"


@pytest.mark.parametrize("suffix", ["jpg", "png", "avif"])
def test_pictures_of_others_are_left_alone(host, suffix):
    picture = girl(mode="RGBA")
    host.save_image(picture, "out", "", 1, "", suffix, info="not ours")
    assert host.saved == [(f"out/1.{suffix}", picture, "not ours")]


@pytest.mark.parametrize("info", ["a, ToonOut keep: replace", "ToonOut: model=toonout-mini"])
def test_a_cutout_that_lost_its_mark_is_known_by_its_infotext(host, info):
    """As the gallery's own button hands it over."""
    picture = girl(mode="RGBA")
    picture.putpixel((0, 0), (0, 0, 0, 0))
    host.save_image(picture, "out", "", 1, "", "jpg", info=info)
    assert host.saved[0][0] == "out/1.png"


def test_one_job_never_writes_a_name_twice(host):
    """Hosts call the results of a.png and a.jpg the same; a second run may replace the first."""
    mark = part("keeping_alpha").mark
    for stamp in ("first", "second"):
        host.state.job_timestamp = stamp
        for kind in ("png", "jpg", "png"):
            host.save_image(mark(girl(mode="RGBA")), "out", "", "a", "", kind)
    names = [name for name, _, _ in host.saved]
    assert names == ["out/a.png", "out/a_2.png", "out/a_3.png"] * 2


def test_cells_of_a_plot_keep_their_infotexts_apart(host, script):
    """Copies of one `p` share what is in it."""
    texts = []
    for radius in (1, 40, 90, "wrong", 90):
        p = Processing()
        p.extra_generation_params = texts[0] if texts else {}
        p.toonout_axes = {"radius_px": radius}
        script.process(p, True, "replace")
        texts.append(p.extra_generation_params)
        told = {name for name in texts[0] if name != "ToonOut model"}
        wanted = {1: {"radius_px"}, 40: {"radius_px"}, 90: set(), "wrong": {"error"}}[radius]
        assert told == {"ToonOut keep", *(f"ToonOut {name}" for name in wanted)}


def test_grids_show_cutouts_on_white(host):
    cutout = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    params = SimpleNamespace(imgs=[part("keeping_alpha").mark(cutout), girl()])
    host.call("image_grid", params)
    assert [image.mode for image in params.imgs] == ["RGB", "RGB"]
    assert params.imgs[0].getpixel((0, 0)) == (255, 255, 255)


def test_a_wrong_wish_is_told_before_the_generation_and_keeps_the_picture(host, script):
    p = Processing()
    script.process(p, True, "replace", None, "nonsense")
    assert "output must be one of" in p.comments[0]
    _, processed = generate(host, script, True, "replace", "no such model", p=p)
    assert [image.mode for image in processed.images] == ["RGB"]
    told = p.extra_generation_params["ToonOut error"]
    assert told.startswith("not cut out: The model must be one of toonout-mini")
    assert "The model must be one of" in p.comments[-1]


def test_a_sentence_with_folders_stays_out_of_infotexts(host, script):
    host.opts.data["toonout_allow_download"] = False
    p, _ = generate(host, script, True, "replace", "toonout")
    assert str(host.folder) in p.comments[-1]
    assert str(host.folder) not in str(p.extra_generation_params)
    told = p.extra_generation_params["ToonOut error"]
    assert told == "not cut out: the model is not here or cannot be read"


def test_a_wrong_option_of_a_call_is_the_reason_in_the_infotext(host, script):
    p, processed = generate(host, script, True, "replace", "toonout-mini", "cutout", "big")
    assert processed.images[0].mode == "RGB"
    assert (
        "resolution must be 0 … 4096, but got 'big'" in p.extra_generation_params["ToonOut error"]
    )


def test_an_unknown_keep_is_refused(host, script):
    p, processed = generate(host, script, True, "both", *QUICK)
    assert [image.mode for image in processed.images] == ["RGB"]
    told = p.extra_generation_params["ToonOut error"]
    assert "keep must be one of keep both, replace, but got 'both'" in told


def test_frames_of_a_video_are_left_alone(host, script, monkeypatch):
    """Forge Neo cuts a video from the frames before our hook, and saves each frame on its own."""
    shared = sys.modules["modules.shared"]
    monkeypatch.setattr(shared, "sd_model", SimpleNamespace(is_wan=True), raising=False)
    p, processed = generate(
        host, script, True, "replace", *QUICK, count=3, p=Processing(batch_size=3)
    )
    assert [image.mode for image in processed.images] == ["RGB"] * 3
    assert len(p.comments) == 1
    assert "on ToonOut's page Clip" in p.comments[0]
    p, processed = generate(host, script, True, "replace", *QUICK, p=Processing(batch_size=1))
    assert processed.images[0].mode == "RGBA"  # one picture of the same model


def test_interrupt_keeps_the_picture(host, script):
    host.state.interrupted = True
    p, processed = generate(host, script, True, "replace", *QUICK)
    assert processed.images[0].mode == "RGB"
    assert p.comments == ["ToonOut: Stopped, as you asked."]


def test_inner_passes_of_adetailer_are_left_alone(host, script):
    _, processed = generate(host, script, True, "replace", p=Processing(_ad_inner=True))
    assert processed.images[0].mode == "RGB"


def test_adetailer_calls_postprocess_without_pictures(host, script):
    p = Processing()
    script.process(p, True, "keep both", *QUICK)
    pp = SimpleNamespace(image=girl())
    script.postprocess_image_after_composite(p, pp, True, "keep both", *QUICK)
    empty = SimpleNamespace(images=[], infotexts=[])
    script.postprocess(copy.copy(p), empty, True, "keep both")
    assert empty.images == []
    full = SimpleNamespace(images=[pp.image], infotexts=["x"], index_of_first_image=0)
    script.postprocess(p, full, True, "keep both")
    assert len(full.images) == 2


def test_the_composite_hook_is_preferred(host, script, monkeypatch):
    """Another extension turns what it gets in the earlier hook into RGB."""
    p = Processing()
    script.process(p, True, "replace", *QUICK)
    pp = SimpleNamespace(image=girl())
    script.postprocess_image(p, pp, True, "replace", *QUICK)
    assert pp.image.mode == "RGB"
    monkeypatch.setattr(part("hosts"), "has_composite_hook", lambda: False)
    script.postprocess_image(p, pp, True, "replace", *QUICK)
    assert pp.image.mode == "RGBA"


def test_ids_differ_where_a_host_builds_a_tab_twice(host, script):
    for is_img2img in (False, True, True):
        script.ui(is_img2img)
    ids = [part.elem_id for part in host.gradio.made if part.elem_id]
    assert len(ids) == len(set(ids))
    host.call("before_ui")
    script.ui(True)
    assert "toonout_img2img_enable" in ids
    assert host.gradio.made[-1].elem_id.startswith("toonout_img2img_")


def test_infotext_fields_switch_it_on_again(host, script):
    script.ui(False)
    fields = {component.elem_id: value for component, value in script.infotext_fields}
    written = {"ToonOut keep": "replace", "ToonOut model": "toonout", "ToonOut grow_px": "-2"}
    assert fields["toonout_txt2img_enable"](written) is True
    assert fields["toonout_txt2img_enable"]({}) is False
    assert fields["toonout_txt2img_model"](written) == "toonout"
    assert fields["toonout_txt2img_grow_px"](written) == -2.0
    assert fields["toonout_txt2img_radius_px"](written) == 90


# ---------------------------------------------------------------- X/Y/Z plot


class Axis(SimpleNamespace):
    def __init__(self, label, type, apply, choices=None):
        super().__init__(label=label, type=type, apply=apply, choices=choices)


@pytest.fixture
def axes(host):
    from modules import scripts

    grid = SimpleNamespace(axis_options=[Axis("Seed", int, None)], AxisOption=Axis)
    plot = type("Script", (), {"__module__": "xyz_grid.py"})
    scripts.scripts_data.append(SimpleNamespace(script_class=plot, module=grid))
    host.call("before_ui")
    host.call("before_ui")
    return {axis.label: axis for axis in grid.axis_options}, grid.axis_options


def test_axes_are_added_once(axes):
    by_label, listed = axes
    assert len(by_label) == len(listed)
    assert {"[ToonOut] model", "[ToonOut] resolution", "[ToonOut] radius_px"} <= set(by_label)
    assert "toonout-mini" in by_label["[ToonOut] model"].choices()
    assert by_label["[ToonOut] output"].choices() == ["cutout", "mask", "cutout + mask"]


def test_an_axis_wins_over_the_widgets_and_switches_on(host, script, axes):
    p = Processing()
    by_label, _ = axes
    cell = copy.copy(p)
    by_label["[ToonOut] output"].apply(cell, "mask", ["mask"])
    by_label["[ToonOut] resolution"].apply(cell, 64, [64])
    _, processed = generate(host, script, False, "replace", p=cell)
    assert processed.images[0].mode == "RGB"
    assert hasattr(processed.images[0], "toonout_mask")
    assert not hasattr(p, "toonout_axes")


def test_a_cell_of_a_plot_shows_the_cutout_on_white_and_both_are_kept(host, script, axes):
    """The plot takes the first picture of a run, and our default keeps both."""
    cell = Processing()
    by_label, _ = axes
    by_label["[ToonOut] resolution"].apply(cell, 64, [64])
    _, processed = generate(host, script, False, "keep both", *QUICK, p=cell)
    first, generated, cutout = processed.images
    assert (first.mode, generated.mode, cutout.mode) == ("RGB", "RGB", "RGBA")
    assert len(processed.infotexts) == 3
    outside = cutout.getchannel("A").point(lambda value: 255 * (value == 0))
    left, top, _, _ = outside.getbbox()
    assert first.getpixel((left, top)) == (255, 255, 255)
    assert generated.getpixel((left, top)) != (255, 255, 255)
    pixels = np.asarray(cutout).astype(np.float64)
    alpha = pixels[..., 3:] / 255
    on_white = pixels[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(np.asarray(first) - on_white).max() <= 1


@pytest.mark.parametrize(("least", "suffix"), [(254, ".webp"), (253, ".png")])
def test_an_infotext_that_is_hidden_in_alpha_makes_no_cutout(host, least, suffix):
    """reForge does that to the picture that lies beside the cutout."""
    picture = girl(mode="RGBA")
    picture.putpixel((0, 0), (1, 2, 3, least))
    written = {"parameters": "a, ToonOut keep: keep both"}
    params = SimpleNamespace(image=picture, filename="a.webp", pnginfo=written)
    host.call("before_image_saved", params)
    assert params.filename == f"a{suffix}"
