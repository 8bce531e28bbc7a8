"""What SD.Next does in its own way; see hosts.py."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image

from tests.webui.fake_host import part
from tests.webui.pictures import QUICK, girl

ARGUMENTS = ("toonout-mini", "cutout", QUICK["resolution"])


class OneResult:
    """SD.Next's PostprocessedImage."""

    def __init__(self, image):
        self.image, self.video, self.info = image, None, {}


@pytest.fixture
def sdnext(host, monkeypatch, tmp_path):
    """The fake host with its marks: a file, no late hook, and where inpainting ends."""
    from modules import devices

    (tmp_path / "installer.py").touch()
    monkeypatch.setattr(devices, "device", torch.device("cpu"), raising=False)
    monkeypatch.setattr(part("hosts"), "has_composite_hook", lambda: False)
    part_of_host = ModuleType("modules.processing_helpers")
    part_of_host.apply_overlay = apply_overlay
    monkeypatch.setitem(sys.modules, part_of_host.__name__, part_of_host)
    assert part("hosts").name() == "sdnext"
    return host


def apply_overlay(image, paste_to, index, overlays):
    x, y, *_ = paste_to
    whole = Image.new("RGBA", overlays[index].size)
    whole.paste(image, (x, y))
    return Image.alpha_composite(whole, overlays[index]).convert("RGB")


def extras(sdnext, picture=None, **values):
    sdnext.state.begin("ToonOut")
    pp = OneResult(picture or girl())
    sdnext.script.ToonOutExtras().process(pp, enable=True, **{**QUICK, **values})
    return pp


def test_a_failure_in_extras_never_ends_the_run(sdnext):
    """Nobody can tell one picture from a batch there."""
    pp = extras(sdnext, background="picture")
    assert pp.image.mode == "RGB"
    assert pp.info["ToonOut"].startswith("FAILED: background must come with a picture")


def test_a_missing_model_ends_the_run_with_its_sentence(sdnext):
    with pytest.raises(part("extras").ToonOutError, match=r"models.toonout"):
        extras(sdnext, model="toonout", allow_download=False)


def test_stop_ends_the_run(sdnext):
    """A skipped picture would be saved as it was."""
    sdnext.state.begin("ToonOut")
    sdnext.state.interrupted = True
    script, cancelled = sdnext.script.ToonOutExtras(), part("extras").Cancelled
    with pytest.raises(cancelled):
        script.process(OneResult(girl()), enable=True, **QUICK)


@pytest.mark.parametrize("background", ["transparent", "colour"])
def test_the_mask_is_saved_beside_the_cutout(sdnext, tmp_path, background):
    pp = extras(sdnext, output="cutout + mask", background=background)
    name = str(tmp_path / "00001-a.jpg")
    params = SimpleNamespace(image=pp.image, filename=name, pnginfo={})
    sdnext.call("before_image_saved", params)
    with Image.open(tmp_path / "00001-a-mask.png") as mask:
        assert mask.mode == "L"
        assert mask.getextrema()[0] == 0
        if background == "transparent":
            assert params.filename == str(tmp_path / "00001-a.png")
            assert mask.tobytes() == params.image.getchannel("A").tobytes()


def inpainted():
    """The middle was painted again; around it lies what was there."""
    overlay = girl().convert("RGBA")
    overlay.paste((0, 0, 0, 0), (24, 32, 72, 96))
    return SimpleNamespace(
        extra_generation_params={}, overlay_images=[overlay, overlay], paste_to=(24, 32, 48, 64),
        batch_index=0, mask_apply_overlay=None, comments={},
    )  # fmt: skip


def test_inpainting_is_laid_together_before_it_is_cut_out(sdnext):
    p, script = inpainted(), sdnext.script.ToonOutGenerate()
    script.process(p, True, "replace", *ARGUMENTS)
    for index in range(2):
        p.batch_index = index
        pp = SimpleNamespace(image=girl().crop((24, 32, 72, 96)))
        script.postprocess_image(p, pp, True, "replace", *ARGUMENTS)
        assert pp.image.mode == "RGBA"
        assert pp.image.size == girl().size
        assert p.mask_apply_overlay is False
    script.process(p, False)
    assert p.mask_apply_overlay is None


@pytest.mark.parametrize("asked", [False, None])
def test_no_overlay_where_it_is_switched_off(sdnext, asked):
    p, script = inpainted(), sdnext.script.ToonOutGenerate()
    p.mask_apply_overlay = asked
    sdnext.opts.mask_apply_overlay = False
    script.process(p, True, "replace", *ARGUMENTS)
    pp = SimpleNamespace(image=girl())
    script.postprocess_image(p, pp, True, "replace", *ARGUMENTS)
    assert pp.image.size == girl().size


def test_what_went_wrong_is_shown(sdnext):
    p, script = inpainted(), sdnext.script.ToonOutGenerate()
    p.comment = lambda text: p.comments.update({text: 1})
    script.process(p, True, "replace", "no such model")
    script.postprocess_image(p, SimpleNamespace(image=girl()), True, "replace", "no such model")
    processed = SimpleNamespace(images=[], infotexts=[], comments="from the host")
    script.postprocess(p, processed, True, "replace")
    told = processed.comments.splitlines()
    assert told[0] == "from the host"
    assert told[1].startswith("ToonOut: The model must be one of")


def test_one_accordion_is_enough(sdnext):
    """SD.Next puts one around every script of Extras."""
    switch = sdnext.script.ToonOutExtras().ui()["enable"]
    assert type(switch).__name__ == "Checkbox"
    assert switch.label == "Cut out"


def test_infotexts_are_read_as_updates(sdnext):
    """Anything else ends its reading of the whole infotext."""
    script = sdnext.script.ToonOutGenerate()
    script.ui(False)
    written = {"ToonOut keep": "replace", "ToonOut grow_px": "-2"}
    fields = {component.elem_id: read for component, read in script.infotext_fields}
    assert fields["toonout_txt2img_enable"](written) == sdnext.gradio.update(value=True)
    assert fields["toonout_txt2img_enable"]({}) == sdnext.gradio.update(value=False)
    assert fields["toonout_txt2img_grow_px"](written) == sdnext.gradio.update(value=-2.0)
    assert fields["toonout_txt2img_grow_px"]({}) is None
