"""`toonout doctor` on this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from toonout_core.cli import doctor


@pytest.fixture
def embedded(model, monkeypatch):
    """The test inference with a tiny network."""
    from toonout_core import matting

    load = matting.load_matting
    monkeypatch.setattr(
        matting, "load_matting", lambda name, **options: load(model, resolution=64, **options)
    )


def test_report_as_json(toonout, embedded, tmp_path):
    (tmp_path / "foreign.safetensors").write_bytes(b"\0" * 64)
    shell = toonout("doctor", "--json", "--device", "cpu", "--models-dir", tmp_path)
    assert shell.code == 0, shell.stdout
    report = json.loads(shell.stdout)
    assert report["toonout"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert report["packages"]["torch"][0].isdigit()
    assert report["machine"]["processors"] >= 1
    assert report["models"]["toonout-mini"] in (
        "part of this package",
        "missing: install ToonOut again",
    )
    assert "foreign.safetensors" in report["models"]["other files"]
    assert report["test inference"]["works"] is True
    assert report["test inference"]["device"] == "cpu"


def test_what_is_usual_does_not_look_like_a_failure(tmp_path, monkeypatch):
    """A machine without a card and without downloads is a whole one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    models = doctor._models([tmp_path])
    assert models["toonout"] == models["isnet-anime"] == "not downloaded"
    assert doctor._no_card("13.0", None).startswith("no NVIDIA card found; the CPU is used")
    assert doctor._no_card(None, "6.4").startswith("no AMD card found; the CPU is used")
    assert "the CPU is used" in doctor._no_card(None, None)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("", "with ReLU in one step"), ("no such op", "ReLU is a step of its own (no such op)")],
)
def test_how_convolutions_are_computed_is_shown(monkeypatch, fault, said):
    monkeypatch.setattr("toonout_core.ops.fused_conv.fault", lambda: fault)
    assert doctor._devices("auto")["cpu convolutions"] == said


def test_report_as_text_names_no_user(toonout, embedded):
    shell = toonout("doctor", "--device", "cpu")
    assert shell.code == 0
    assert "\n  torch  " in shell.stdout
    assert str(Path.home()) not in shell.stdout
    assert "~/.cache/toonout" in shell.stdout.replace("\\", "/")


def test_what_does_not_work_is_code_1(toonout, monkeypatch):
    monkeypatch.setattr(doctor, "_models", lambda _: {})
    shell = toonout("doctor", "--device", "cuda:99")
    assert shell.code == 1
    assert "device must be" in shell.stdout
