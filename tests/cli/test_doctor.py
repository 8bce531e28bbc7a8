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
    assert report["models"]["toonout-mini"] in ("part of this package", "absent")
    assert "foreign.safetensors" in report["models"]["other files"]
    assert report["test inference"]["works"] is True
    assert report["test inference"]["device"] == "cpu"


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
