"""Cut Out Video on a fake host."""

from __future__ import annotations

import importlib
import io
import sys
import weakref
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.comfy.characters import DARK, LEFT, LIGHT, RIGHT, SIZE_HW, drawn, error_class
from tests.comfy.fake_comfy import PACK, Interrupted
from tests.comfy.luma import write_luma_model
from tests.output.test_clips import with_sound
from toonout_core.output.clip_writers import new_clip
from toonout_core.output.clips import pictures_of, timing

av = pytest.importorskip("av")

BOXES = (LEFT, LEFT, RIGHT, RIGHT, RIGHT)


@pytest.fixture
def model(run, host):
    write_luma_model(host.models / "background_removal" / "luma.safetensors")
    return run("LoadMatting", model="luma.safetensors", allow_download=False)["model"]


@pytest.fixture
def api(nodes):
    return sys.modules["comfy_api.latest"]


@pytest.fixture
def cut(run, model):
    def call(video, **options):
        return Path(run("CutVideo", model=model, video=video, **options)["video"].file)

    return call


def core(name):
    """A module of the core as the pack has it, which imports some only when it needs them."""
    return importlib.import_module(f"{PACK}.toonout_core.{name}")


def batch(*boxes):
    return torch.cat([drawn(box) for box in boxes])


def clip(path, boxes=BOXES, rate=10.0):
    with new_clip(path, rate=rate) as made:
        for box in boxes:
            made.add(drawn(box).permute(0, 3, 1, 2).contiguous())
    return path


def of_parts(api, boxes=BOXES, rate=Fraction(10), **more):
    parts = api.Types.VideoComponents(images=batch(*boxes), frame_rate=rate, **more)
    return api.InputImpl.VideoFromComponents(parts)


def where(picture):
    """Which of the boxes shows."""
    middle = {box: ((box[1] + box[3]) // 2, (box[0] + box[2]) // 2) for box in (LEFT, RIGHT)}
    return [box for box, (y, x) in middle.items() if picture.alpha[0, 0, y, x] > 0.9]


@pytest.mark.parametrize("kind", ["webm", "mov", "mkv"])
def test_a_file_becomes_a_transparent_file(cut, api, host, tmp_path, kind):
    source = api.InputImpl.VideoFromFile(str(clip(tmp_path / "in.mp4")))
    path = cut(source, format=kind)
    assert path == host.output / "toonout" / f"clip_00001_.{kind}"
    found = list(pictures_of(path))
    assert [where(picture) for picture in found] == [[box] for box in BOXES]
    assert all(tuple(picture.alpha.shape[-2:]) == SIZE_HW for picture in found)
    assert timing(path)[0] == pytest.approx(10)
    assert list(host.temp.rglob("*")) == [], "nothing is left beside it"
    assert cut(source, format=kind) != path, "nothing is overwritten"


def test_frames_in_memory_stay_as_they_are(cut, api):
    video = of_parts(api)
    before = video.components.images.clone()
    found = list(pictures_of(cut(video)))
    assert [where(picture) for picture in found] == [[box] for box in BOXES]
    assert torch.equal(video.components.images, before)


def test_mp4_stands_on_a_colour(cut, api):
    path = cut(of_parts(api), format="mp4", colour="#ff0000")
    (picture, *_) = pictures_of(path)
    assert picture.alpha is None
    assert picture.image[0, :, 90, 80].tolist() == pytest.approx([1, 0, 0], abs=0.04)
    assert picture.image[0, :, 50, 25].tolist() == pytest.approx([LIGHT] * 3, abs=0.04)
    assert DARK < 0.5 < LIGHT


def test_without_a_name_it_is_only_handed_on(cut, api, host):
    path = cut(of_parts(api), filename_prefix="")
    assert host.temp in path.parents
    assert len(list(pictures_of(path))) == len(BOXES)
    assert list(host.output.rglob("*")) == []


@pytest.mark.parametrize("sound", [True, False])
def test_sound_of_files_is_kept_or_left_out(cut, api, tmp_path, sound):
    video = api.InputImpl.VideoFromFile(str(with_sound(tmp_path / "talk.mp4")))
    with av.open(str(cut(video, sound=sound))) as container:
        assert len(container.streams.audio) == int(sound)


def test_sound_in_memory_is_kept(cut, api):
    waveform = torch.sin(torch.arange(8000) / 8)[None, None] * 0.5
    audio = {"waveform": waveform, "sample_rate": 16000}
    with av.open(str(cut(of_parts(api, audio=audio), format="mov"))) as container:
        heard = torch.cat(
            [torch.from_numpy(frame.to_ndarray()).flatten() for frame in container.decode(audio=0)]
        )
    assert abs(len(heard) - 8000) <= 1
    levels = waveform.flatten()[: len(heard)] * 32767
    assert (heard[: len(levels)] - levels).abs().max() <= 1


def test_bytes_and_odd_names_are_videos_too(cut, api, tmp_path):
    path = clip(tmp_path / "in.mp4", BOXES[:2])
    kept = io.BytesIO(path.read_bytes())
    assert len(list(pictures_of(cut(api.InputImpl.VideoFromFile(kept))))) == 2
    odd = path.rename(tmp_path / "video.ts")
    assert len(list(pictures_of(cut(api.InputImpl.VideoFromFile(str(odd)))))) == 2


def test_a_trimmed_video_stays_trimmed(cut, api, tmp_path):
    video = api.InputImpl.VideoFromFile(str(with_sound(tmp_path / "talk.mp4")))
    rate, count = timing(tmp_path / "talk.mp4")
    video.get_active_trim_window = lambda: (3 / rate, 4 / rate)
    path = cut(video, format="mov")
    assert len(list(pictures_of(path))) == 4 < count - 3
    with av.open(str(path)) as container:
        heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert heard == pytest.approx(4 / rate, abs=0.1)


def test_releases_that_trim_without_telling_write_it_themselves(cut, api, tmp_path):
    video = api.InputImpl.VideoFromFile(str(clip(tmp_path / "in.mp4")))
    video.as_trimmed = None
    video.save_to = lambda path: clip(Path(path), BOXES[:2])
    assert len(list(pictures_of(cut(video)))) == 2


def test_a_long_clip_is_never_held(cut, api, monkeypatch):
    """Of all frames that were read only those are alive that wait for their turn."""
    module = core("output.clip_cutting")
    alive, most = [], []

    def watched(frames):
        for picture in frames:
            alive.append(weakref.ref(picture.image))
            most.append(sum(ref() is not None for ref in alive))
            yield picture
            del picture

    inner = module.cut_clip
    monkeypatch.setattr(module, "cut_clip", lambda frames, *a, **b: inner(watched(frames), *a, **b))
    path = cut(of_parts(api, BOXES * 8))
    assert len(list(pictures_of(path))) == len(BOXES) * 8
    assert max(most) <= 2 * module.ROOM + 4


def test_steady_is_asked_of_all_frames(cut, api, monkeypatch):
    module = core("steadying")
    asked = []
    inner = module.Steady.__call__
    monkeypatch.setattr(
        module.Steady, "__call__", lambda self, *a: asked.append(1) or inner(self, *a)
    )
    cut(of_parts(api))
    assert not asked
    cut(of_parts(api), steady=True)
    assert len(asked) == len(BOXES)


def test_the_hosts_stop_leaves_nothing(cut, api, host):
    host.progress.clear()
    host.interrupt_after = 6
    with pytest.raises(Interrupted):
        cut(of_parts(api, BOXES * 4))
    assert [p for p in (*host.output.rglob("*"), *host.temp.rglob("*")) if p.is_file()] == []


def test_the_bar_counts_frames(cut, api, host):
    host.progress.clear()
    cut(of_parts(api))
    assert host.progress[-1] == (len(BOXES), len(BOXES))


def test_the_workflow_is_inside(nodes, model, api, monkeypatch):
    node = nodes["ToonOut_CutVideo"]
    hidden = SimpleNamespace(prompt={"1": "graph"}, extra_pnginfo={"workflow": {"id": "x"}})
    monkeypatch.setattr(node, "hidden", hidden)
    defaults = {item.id: item.default for item in node.define_schema().inputs[2:]}
    for kind in ("webm", "mp4"):
        given = defaults | {"format": kind}
        made = node.execute(model=model, video=of_parts(api, BOXES[:2]), **given)
        with av.open(made.result[0].file) as container:
            stored = {key.lower(): value for key, value in container.metadata.items()}
        assert stored["prompt"] == '{"1": "graph"}'
        assert stored["workflow"] == '{"id": "x"}'
        (saved,) = made.ui.values
        assert saved["filename"] == Path(made.result[0].file).name


@pytest.mark.parametrize(
    ("video", "options", "words"),
    [
        (7, {}, "must be a VIDEO"),
        (None, {"colour": "no colour", "format": "mp4"}, "colour"),
        (None, {"filename_prefix": "../../clip"}, "output folder"),
    ],
)
def test_what_cannot_be_is_said(cut, api, video, options, words):
    with pytest.raises(error_class(), match=words):
        cut(of_parts(api) if video is None else video, **options)


def test_frames_of_a_batch_can_be_steadied(run, model, monkeypatch):
    module, seen = core("steadying"), []
    monkeypatch.setattr(
        module.Steady, "__call__", lambda self, image, alpha: seen.append(self) or alpha
    )
    frames = batch(*BOXES)
    run("Matte", model=model, image=frames, frames_per_step=2)
    assert not seen
    run("Matte", model=model, image=frames, frames_per_step=2, steady=True)
    assert len(seen) == len(frames)
    assert len(set(map(id, seen))) == 1


def test_a_segmenter_can_be_fast(run, nodes, monkeypatch):
    loading = sys.modules[nodes["ToonOut_LoadSegmenter"].__module__]
    told = []
    monkeypatch.setattr(loading, "load_segmenter", lambda *_, **how: told.append(how["precision"]))
    for fast in (False, True):
        run("LoadSegmenter", detector="toonout-mini", refiner="none", fast=fast)
    assert told == ["auto", "fast"]
