"""The script of the Extras tab."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from PIL import Image

from tests.webui.fake_host import PostprocessedImage, part
from tests.webui.pictures import QUICK, girl


@pytest.fixture(params=["extras", "ToonOut"])
def job(request):
    """What hosts call the job while our script runs."""
    return request.param


@pytest.fixture
def extras(host):
    """One picture in Extras, as the host runs it."""
    host.state.begin("ToonOut")
    host.state.job_count = 1
    return host.script.ToonOutExtras()


def run(extras, picture=None, **values):
    pp = PostprocessedImage(picture or girl())
    extras.process(pp, enable=True, **{**QUICK, **values})
    return pp


def near(colour, wanted):
    """The embedded model leaves a trace of the old background at so small a size."""
    return all(abs(a - b) < 8 for a, b in zip(colour, wanted, strict=True))


def test_all_arguments_none_is_off(extras):
    """What hosts send for pictures that come over their API."""
    picture = girl()
    pp = PostprocessedImage(picture)
    extras.process(pp, **dict.fromkeys(extras.ui()))
    assert pp.image is picture
    assert pp.info == {}


def test_no_picture_is_let_pass(extras):
    pp = PostprocessedImage(None)
    extras.process(pp, enable=True)
    assert pp.info == {}


def test_defaults_give_a_cutout_that_carries_its_alpha(extras):
    pp = run(extras)
    assert pp.image.mode == "RGBA"
    assert pp.image.getchannel("A").getextrema()[0] == 0
    assert pp.image.toonout_alpha.tobytes() == pp.image.getchannel("A").tobytes()
    assert pp.info["ToonOut"].startswith("model=toonout-mini; output=cutout")
    assert "device=cpu" in pp.info["ToonOut"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_any_mode_of_picture(extras, mode):
    assert run(extras, girl(mode=mode)).image.mode == "RGBA"


def test_mask_beside_the_cutout(extras):
    pp = run(extras, output="cutout + mask")
    (mask,) = pp.extra_images
    assert mask.nametags == ["mask"]
    assert mask.disable_processing
    assert mask.image.getchannel(0).tobytes() == pp.image.getchannel("A").tobytes()


def test_a_host_without_extra_images_gets_the_cutout(extras):
    class Bare:
        image, info = girl(), {}

    pp = Bare()
    extras.process(pp, enable=True, output="cutout + mask", **QUICK)
    assert pp.image.mode == "RGBA"


def test_background_crop_and_adjustments(extras):
    plain = run(extras)
    coloured = run(extras, background="colour", colour="#123456")
    assert coloured.image.mode == "RGB"
    assert near(coloured.image.getpixel((0, 0)), (0x12, 0x34, 0x56))
    behind = Image.new("RGB", (10, 10), (1, 2, 3))
    picture = run(extras, background="picture", background_picture=behind)
    assert near(picture.image.getpixel((0, 0)), (1, 2, 3))
    cropped = run(extras, crop=True, margin_px=2)
    assert cropped.image.size < plain.image.size
    assert cropped.image.size == cropped.image.toonout_alpha.size
    thinner = run(extras, black_point=0.5)
    sums = [sum(pp.image.getchannel("A").tobytes()) for pp in (thinner, plain)]
    assert sums[0] < sums[1]


def test_a_single_picture_fails_with_a_sentence(host, extras, job):
    host.state.job = job
    with pytest.raises(Exception, match="must come with a picture"):
        run(extras, background="picture")


def test_in_a_batch_a_failure_is_noted_and_the_batch_goes_on(host, extras):
    host.state.job_count = 3
    picture = girl()
    pp = run(extras, picture, background="picture")
    assert pp.image is picture
    assert pp.info["ToonOut"].startswith("FAILED: background must come with a picture")


def test_a_batch_ends_at_once_where_its_model_is_missing(host, extras):
    """No copy that was not cut out is saved under a result's name."""
    host.state.job_count = 3
    host.opts.data["toonout_allow_download"] = False
    with pytest.raises(Exception, match="toonout must be in one of the folders"):
        run(extras, model="toonout")


def truncated():
    """As the host opens a file: its pixels are read when they are needed."""
    stream = io.BytesIO()
    girl((300, 400)).save(stream, "JPEG")
    return Image.open(io.BytesIO(stream.getvalue()[: len(stream.getvalue()) // 2]))


def test_a_truncated_file_of_a_batch_is_skipped_and_named(host, extras, caplog):
    """The host would save the same lazy picture after us, and die."""
    host.state.job_count, host.state.textinfo = 20, "in/broken.jpg"
    pp = PostprocessedImage(truncated())
    extras.process_firstpass(pp, enable=True, **QUICK)
    assert host.state.skipped
    assert "in/broken.jpg: The picture cannot be read" in caplog.text


def test_a_truncated_file_alone_is_a_sentence(extras, host):
    with pytest.raises(Exception, match="the picture must be whole, but got"):
        extras.process_firstpass(PostprocessedImage(truncated()), enable=True, **QUICK)


def test_what_is_not_asked_for_stays_lazy(extras, host):
    extras.process_firstpass(PostprocessedImage(truncated()), enable=False)
    extras.process_firstpass(PostprocessedImage(None), enable=True)
    assert not host.state.skipped


@pytest.mark.parametrize(
    ("options", "outside"),
    [({}, (0, 255, 0)), ({"colour": "#0000ff"}, (0, 0, 255)), ({"output": "mask"}, (0, 0, 0)),
     ({"output": "cutout + mask", "crop": True}, (0, 255, 0))],
)  # fmt: skip
def test_frames_of_a_video_are_laid_on_a_colour(extras, options, outside):
    """Forge Neo writes them as a video, which has no alpha."""
    pp = PostprocessedImage(girl())
    pp.shared = SimpleNamespace(is_video=True)
    extras.process(pp, enable=True, **{**QUICK, **options})
    assert (pp.image.mode, pp.image.size) == ("RGB", girl().size)
    assert near(pp.image.getpixel((1, 1)), outside)
    assert pp.extra_images == []


def test_an_editor_in_extras_gives_what_it_shows(extras):
    """Forge Neo's: a background, layers, and the picture that they make together."""
    pp = PostprocessedImage({"background": None, "layers": [], "composite": girl()})
    extras.process_firstpass(pp, enable=True, **QUICK)
    extras.process(pp, enable=True, **QUICK)
    assert pp.image.mode == "RGBA"


def test_an_unknown_failure_in_a_batch_is_noted_too(host, extras, monkeypatch):
    host.state.job_count = 3

    def broken(*arguments):
        raise ZeroDivisionError("something else")

    monkeypatch.setattr(part("extras"), "cut", broken)
    assert run(extras).info["ToonOut"] == "FAILED: ZeroDivisionError: something else"


def test_interrupt_lets_the_host_save_nothing(host, extras):
    picture = girl()
    host.state.interrupted = True
    pp = run(extras, picture)
    assert host.state.skipped
    assert pp.image is picture


def test_widgets_are_built_several_times_without_equal_ids(host, extras):
    for _ in range(7):
        extras.ui()
    ids = [component.elem_id for component in host.gradio.made if component.elem_id]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 7 * 20


def test_a_model_is_only_what_is_offered(extras, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"x")
    for name in ("nonsense", str(tmp_path / "x.safetensors"), "../x"):
        with pytest.raises(Exception, match="The model must be one of toonout-mini"):
            run(extras, model=name)


def test_a_missing_model_says_file_folder_and_link(host, extras):
    host.opts.data["toonout_allow_download"] = False
    with pytest.raises(Exception, match="toonout must be in one of the folders") as caught:
        run(extras, model="toonout")
    assert str(host.folder / "models" / "toonout") in str(caught.value)
    assert "https://huggingface.co/joelseytre/toonout" in str(caught.value)


def test_the_models_folder_of_the_command_line_is_first(start, tmp_path):
    with start(toonout_models_path=str(tmp_path / "mine")) as host:
        host.opts.data["toonout_comfyui_path"] = str(tmp_path / "comfy")
        folders = part("host").weight_dirs()
    assert folders[0] == tmp_path / "mine"
    assert tmp_path / "models" / "toonout" in folders
    assert tmp_path / "comfy" / "models" / "background_removal" in folders


def test_progress_is_the_hosts_and_put_back(host, extras):
    host.state.sampling_step, host.state.sampling_steps = 3, 20
    seen = []
    with part("host").WebUIHost().progress(2, "matting") as step:
        step(1)
        seen.append((host.state.sampling_step, host.state.sampling_steps, host.state.textinfo))
    assert seen == [(1, 2, "ToonOut: matting 1/2")]
    assert (host.state.sampling_step, host.state.sampling_steps) == (3, 20)


def test_models_are_forgotten_when_the_settings_say_so(host, extras):
    pipelines = part("pipelines").PIPELINES
    run(extras)
    assert pipelines.names() == ["toonout-mini"]
    host.opts.data["toonout_kept_models"] = 0
    run(extras)
    assert pipelines.names() == []
