"""The text in a checkpoint: read as data, whatever it holds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.fake_host import FakeHost
from tests.goldens import shared_file
from tests.models.test_rtmdet_ins import cloned, network
from toonout_core.converting import convert
from toonout_core.loading import load_network
from toonout_core.models.rtmdet_ins.config import Settings, read_assignments, read_settings
from toonout_core.weight_files.reading import CONFIG_KEY, read_state

TEXT = """
# comment
custom_imports = dict(allow_failed_imports=False, imports=['a.b'])
lr = -0.004
img_scale = (160, 160, )
model = dict(
    type='RTMDet',
    backbone=dict(type='CSPNeXt', norm_cfg=dict(type='SyncBN', eps=0.001)),
    bbox_head=dict(norm_cfg=dict(type='SyncBN', requires_grad=True, eps=0.001)))
test_pipeline = [
    dict(type='Resize', scale=(160, 160), keep_ratio=True),
    dict(type='Pad', size=(192, 192), pad_val=dict(img=(114, 114, 114)))]
"""


def test_assignments_are_read():
    values = read_assignments(TEXT)
    assert values["lr"] == -0.004
    assert values["img_scale"] == [160, 160]
    assert values["custom_imports"]["imports"] == ["a.b"]
    assert values["model"]["backbone"]["type"] == "CSPNeXt"
    assert read_settings(TEXT) == Settings(side_px=192, eps=0.001)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no python at all!",
        "model = [" * 3000,
        "x = " + "-" * 5000 + "1",
        "model = dict(norm_cfg=dict(eps='small'))",
        "model = dict(norm_cfg=dict(eps=7.0))",
        "model = dict(norm_cfg=dict(eps=True))",
        "model = [dict(norm_cfg=dict(eps=0.001)), dict(norm_cfg=dict(eps=0.01))]",
        "test_pipeline = [dict(type='Pad', size=(1000000, 3))]",
        "test_pipeline = dict(type='Pad')",
        "test_pipeline = 5",
        "x" * 1_000_001,
    ],
)
def test_what_is_odd_or_missing_is_left_to_the_usual(text):
    assert read_settings(text) == Settings()


def test_nothing_is_run(tmp_path):
    victim = tmp_path / "victim"
    for call in (
        f"__import__('pathlib').Path({str(victim)!r}).touch()",
        f"open({str(victim)!r}, 'w')",
        f"dict(a=open({str(victim)!r}, 'w'))",
        f"[open({str(victim)!r}, 'w') for _ in (1,)]",
    ):
        assert read_assignments(f"x = {call}")["x"] in (None, {"a": None})
        assert read_assignments(call) == {}
    assert not victim.exists()


@given(st.text(alphabet="dict(a=[1,'b'])\n-.{}:", max_size=60))
def test_any_text_is_taken(text):
    read_settings(text)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "detector.ckpt"
    torch.save({"meta": {"cfg": TEXT, "epoch": 3}, "state_dict": cloned(network())}, path)
    return path


def test_a_checkpoint_is_built_as_it_says(checkpoint):
    loaded = load_network(checkpoint, FakeHost(), task="instances").network
    assert loaded.side_px == 192
    assert {m.eps for m in loaded.modules() if isinstance(m, nn.BatchNorm2d)} == {0.001}


def test_the_text_survives_conversion(checkpoint, tmp_path):
    converted = tmp_path / "detector.safetensors"
    convert(checkpoint, converted, FakeHost([tmp_path]))
    assert read_state(converted)[1][CONFIG_KEY] == TEXT
    assert load_network(converted, FakeHost(), task="instances").network.side_px == 192


def test_the_recorded_checkpoint():
    """Part of a network: its text is read, and it is refused as not whole."""
    state, metadata = read_state(shared_file("ckpt_published_style.ckpt"))
    assert len(state) == 90
    assert read_settings(metadata[CONFIG_KEY]) == Settings(side_px=160)
