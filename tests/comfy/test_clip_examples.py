"""The examples of pictures that move, in a real ComfyUI (see docs/testing.md)."""

from __future__ import annotations

import pytest
import torch

from tests.comfy.graphs import example, ids_of, own_picture, to_api
from tests.comfy.test_server import LUMA, node
from toonout_core.output.clip_sound import write_wave
from toonout_core.output.clip_writers import new_clip
from toonout_core.output.clips import frames_of, pictures_of, timing

pytestmark = pytest.mark.comfy


def prepared(comfy, name):
    """An example with a picture and models that are here, short."""
    prompt = to_api(example(name), comfy.get("/object_info"))
    for key in ids_of(prompt, "ToonOut_LoadMatting"):
        prompt[key]["inputs"] |= {"model": LUMA, "allow_download": False}
    for key in ids_of(prompt, "ToonOut_LoadSegmenter"):
        prompt[key]["inputs"] |= {"detector": LUMA, "allow_download": False}
    return own_picture(prompt, *["girl.png"] * len(ids_of(prompt, "ToonOut_ExamplePicture")))


def clip_of(comfy, prompt):
    run = comfy.run(prompt)
    (key,) = ids_of(prompt, "SaveVideo")
    (saved,) = run.outputs[key]["images"]
    return comfy.base / "output" / saved["subfolder"] / saved["filename"]


@pytest.mark.parametrize(
    ("name", "kind"), [("06 Ken Burns", "ToonOut_KenBurns"), ("06b Puppet", "ToonOut_Puppet")]
)
@pytest.mark.parametrize("output", ["images and video", "video only"])
def test_the_clip_is_saved(comfy, name, kind, output):
    prompt = prepared(comfy, name)
    (key,) = ids_of(prompt, kind)
    prompt[key]["inputs"] |= {"frames": 6, "amount": 1.0, "output": output, "fps": 12.0}
    path = clip_of(comfy, prompt)
    frames = list(frames_of(path))
    assert len(frames) == 6
    assert timing(path)[0] == pytest.approx(12)
    assert (frames[0] - frames[1]).abs().max() > 0.1, "nothing moves"


def test_frames_go_on_to_other_nodes(comfy):
    """RGB, of any number; masks as large as they are."""
    prompt = prepared(comfy, "06 Ken Burns")
    (key,) = ids_of(prompt, "ToonOut_KenBurns")
    prompt[key]["inputs"] |= {"frames": 3, "edges": "transparent", "motion": "zoom out"}
    (video,) = ids_of(prompt, "SaveVideo")
    prompt[video] = {
        "class_type": "SaveImage",
        "inputs": {"images": [key, 0], "filename_prefix": "f"},
    }
    run = comfy.run(prompt)
    pictures = comfy.pictures(run, video)
    assert [picture.mode for picture in pictures] == ["RGB"] * 3


def walking(comfy, name="walk.mp4", frames=6):
    """A light square before dark, and a tone, in the input folder."""
    path = comfy.base / "input" / name
    tone = path.with_suffix(".wav")
    write_wave(tone, torch.sin(torch.arange(16000) / 8)[None] * 0.5, 16000)
    with new_clip(path, rate=10, sound=tone, overwrite=True) as clip:
        for number in range(frames):
            image = torch.full((1, 3, 64, 96), 0.1)
            image[..., 16:48, 8 + 6 * number : 40 + 6 * number] = 0.9
            clip.add(image)
    return path


@pytest.mark.parametrize("kind", ["webm", "mov", "mp4"])
def test_a_video_is_cut_out(comfy, kind):
    av = pytest.importorskip("av")
    walking(comfy)
    prompt = prepared(comfy, "05b Cut out a video")
    (key,) = ids_of(prompt, "ToonOut_CutVideo")
    prompt[key]["inputs"] |= {"format": kind, "resolution": 64, "colour": "#ff0000"}
    run = comfy.run(prompt, extra={"extra_pnginfo": {"workflow": {"id": kind}}})
    assert run.progress[key][-1] == (6, 6)
    (saved,) = run.outputs[key]["images"]
    assert saved["type"] == "output"
    path = comfy.base / "output" / saved["subfolder"] / saved["filename"]
    with av.open(str(path)) as container:
        assert container.streams.audio
        assert f'"id": "{kind}"' in str(dict(container.metadata))
    found = list(pictures_of(path))
    assert len(found) == 6
    for number, picture in enumerate(found):
        there, away = (32, 24 + 6 * number), (60, 90)
        if kind == "mp4":
            assert picture.image[0, 0, away[0], away[1]] > 0.9 > 0.2 > picture.image[0, 1, 60, 90]
        else:
            assert picture.alpha[0, 0, there[0], there[1]] > 0.98
            assert picture.alpha[0, 0, away[0], away[1]] < 0.02


def test_the_video_goes_on_to_other_nodes_and_stays_trimmed(comfy):
    """It lies in the temporary folder; of a trimmed one nothing else is cut out."""
    known = comfy.get("/object_info")
    walking(comfy, "long.mp4", 12)
    prompt = prepared(comfy, "05b Cut out a video")
    (key,) = ids_of(prompt, "ToonOut_CutVideo")
    (load,) = ids_of(prompt, "LoadVideo")
    prompt[load]["inputs"]["file"] = "long.mp4"
    prompt[key]["inputs"] |= {"resolution": 64, "filename_prefix": ""}
    expected = 12
    if "Video Slice" in known:
        prompt["20"] = node("Video Slice", video=[load, 0], start_time=0.4, duration=0.5,
                            strict_duration=False)  # fmt: skip
        prompt[key]["inputs"]["video"] = ["20", 0]
        expected = 5
    prompt["21"] = node("GetVideoComponents", video=[key, 0])
    prompt["22"] = node("PreviewImage", images=["21", 0])
    run = comfy.run(prompt)
    assert run.outputs[key]["images"][0]["type"] == "temp"
    assert len(comfy.pictures(run, "22")) == expected


def test_frames_in_memory_are_a_video_too(comfy):
    prompt = prepared(comfy, "05b Cut out a video")
    (key,) = ids_of(prompt, "ToonOut_CutVideo")
    (load,) = ids_of(prompt, "LoadVideo")
    prompt["20"] = node("Probe_Frames", count=4, side=64, alpha=False)
    prompt[load] = node("CreateVideo", images=["20", 0], fps=12.0)
    prompt[key]["inputs"] |= {"resolution": 64, "steady": True}
    (saved,) = comfy.run(prompt).outputs[key]["images"]
    path = comfy.base / "output" / saved["subfolder"] / saved["filename"]
    assert timing(path)[0] == pytest.approx(12)
    assert len(list(pictures_of(path))) == 4
