"""The tab's page for pictures that move."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.webui.fake_host import part
from tests.webui.pictures import girl
from tests.webui.test_pages import build, press
from toonout_core.output.clips import frames_of

SIZE = (96, 128)


@pytest.fixture
def page(host, tmp_path):
    host.opts.data["outdir_samples"] = str(tmp_path / "out")
    return build(host)


def run(page, kind="ken_burns", picture=True, **values):
    given = {f"toonout_motion_{name}": value for name, value in values.items()}
    given[f"toonout_motion_{kind}_frames"] = 4
    if picture:
        given["toonout_motion_source"] = girl(SIZE)
    return list(press(page, f"toonout_motion_start_{kind}", **given))


def results(tmp_path):
    out = tmp_path / "out" / "toonout"
    return sorted(out.rglob("*")) if out.exists() else []


@pytest.mark.parametrize("kind", ["ken_burns", "puppet"])
def test_a_clip(page, tmp_path, kind):
    lines = run(page, kind)
    status, preview = lines[-1]
    assert "4 frames" in status
    assert "data:image/jpeg;base64," in preview
    (path,) = results(tmp_path)
    assert path.suffix == ".mp4"
    assert path.name.startswith(kind.replace("_", ""))
    frames = list(frames_of(path))
    assert len(frames) == 4
    assert (frames[0] - frames[2]).abs().max() > 0.2


def test_frames_with_alpha(page, tmp_path):
    run(page, "puppet", format="png", alone=True, puppet_motion="sway")
    folder, *frames = results(tmp_path)
    assert folder.is_dir()
    assert len(frames) == 4
    with Image.open(frames[0]) as shown:
        assert (shown.mode, shown.size) == ("RGBA", SIZE)
        assert np.asarray(shown)[0, 0, 3] == 0


def test_depth_and_background(page, tmp_path):
    ramp = Image.fromarray(np.linspace(0, 255, 64, dtype="u1")[:, None].repeat(48, 1))
    green = Image.new("RGB", SIZE, (0, 200, 0))
    given = {"depth": ramp.convert("RGB"), "background": green, "format": "png"}
    run(page, ken_burns_motion="horizontal", ken_burns_edges="mirror", **given)
    with Image.open(results(tmp_path)[2]) as shown:
        assert (np.asarray(shown) == (0, 200, 0)).all(-1).any()
    small = {"background": green.resize((9, 9))}
    assert "the background must have the picture" in run(page, **small)[-1][0]


def test_a_pose_file(page, tmp_path):
    path = tmp_path / "tmp99.json"
    path.write_text(json.dumps({"people": []}))
    upload = SimpleNamespace(name=str(path), orig_name="pose.json")
    status = run(page, "puppet", files=[upload], puppet_motion="wave")[-1][0]
    assert "are guessed" in status
    path.write_text("no json")
    assert "must be OpenPose" in run(page, "puppet", files=[upload])[-1][0]


def test_stop_leaves_nothing(page, tmp_path, monkeypatch):
    monkeypatch.setattr(part("tab_motion"), "_WAIT_SECONDS", 0.01)
    given = {"toonout_motion_source": girl(SIZE), "toonout_motion_ken_burns_frames": 1000}
    running = press(page, "toonout_motion_start_ken_burns", **given)
    next(running)
    assert page["toonout_motion_stop"].events[0]["queue"] is False
    press(page, "toonout_motion_stop")
    assert "nothing is kept" in list(running)[-1][0]
    assert results(tmp_path) in ([], [tmp_path / "out" / "toonout"])


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("ken_burns", {"picture": False}, "Choose a picture first"),
        ("ken_burns", {"format": "gif"}, "format must be one of"),
        ("ken_burns", {"ken_burns_edges": "transparent"}, "mp4 must be opaque"),
        ("ken_burns", {"ken_burns_amount": 9}, "amount must be 0 to 2"),
        ("puppet", {"puppet_characters": "99"}, "99"),
        ("puppet", {"alone": True}, "mp4 must be opaque"),
    ],
)
def test_wrong_wishes(page, tmp_path, kind, values, sentence):
    assert sentence in run(page, kind, **values)[-1][0]
    assert [path for path in results(tmp_path) if path.is_file()] == []
