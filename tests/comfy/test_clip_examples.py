"""The examples of pictures that move, in a real ComfyUI (see docs/testing.md)."""

from __future__ import annotations

import pytest

from tests.comfy.graphs import example, ids_of, to_api
from tests.comfy.test_server import LUMA
from toonout_core.output.clips import frames_of, timing

pytestmark = pytest.mark.comfy


def prepared(comfy, name):
    """An example with a picture and models that are here, short."""
    prompt = to_api(example(name), comfy.get("/object_info"))
    for key in ids_of(prompt, "ToonOut_LoadMatting"):
        prompt[key]["inputs"] |= {"model": LUMA, "allow_download": False}
    for key in ids_of(prompt, "ToonOut_LoadSegmenter"):
        prompt[key]["inputs"] |= {"detector": LUMA, "allow_download": False}
    for key in ids_of(prompt, "LoadImage"):
        prompt[key]["inputs"]["image"] = "girl.png"
    return prompt


def clip_of(comfy, prompt):
    run = comfy.run(prompt)
    (key,) = ids_of(prompt, "SaveVideo")
    (saved,) = run.outputs[key]["images"]
    return comfy.base / "output" / saved["subfolder"] / saved["filename"]


@pytest.mark.parametrize(
    ("name", "kind"), [("06_ken_burns", "ToonOut_KenBurns"), ("06b_puppet", "ToonOut_Puppet")]
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
    prompt = prepared(comfy, "06_ken_burns")
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
