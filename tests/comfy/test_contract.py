"""The fake host may not drift from the real one: every parameter that it takes is a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.comfy.contract import parameters

HERE = Path(__file__).parent
RECORDED = sorted(HERE.glob("contract_*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_fake_takes_what_the_real_host_takes(host, path):
    real = json.loads(path.read_text("utf-8"))["parameters"]
    newest = json.loads(RECORDED[0].read_text("utf-8"))["parameters"]  # 0.25 stands before 0.3
    fake = parameters()
    assert fake.keys() == real.keys()
    for name, given in fake.items():
        # nodes leave out what a release does not know (`known_input`)
        known = real[name].keys() | newest[name].keys()
        assert given.keys() <= known, f"{name}: no such parameter in the real host"
        needed = {item for item, required in real[name].items() if required}
        assert needed <= given.keys(), f"{name}: the real host wants more"


def test_both_ends_of_the_supported_range_are_recorded():
    assert [path.stem for path in RECORDED] == ["contract_0.25.0", "contract_0.3.64"]


@pytest.mark.comfy
def test_the_record_agrees_with_this_checkout():
    """Parameters that we give must exist in the checkout, whatever its release."""
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    out = subprocess.run(
        [python, str(HERE / "contract.py")],
        cwd=os.environ["COMFYUI_PATH"], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    real = json.loads(out[out.index('{\n "comfyui"') :])
    recorded = HERE / f"contract_{real['comfyui']}.json"
    if recorded.is_file():
        assert real == json.loads(recorded.read_text("utf-8"))
    for name, given in json.loads(RECORDED[-1].read_text("utf-8"))["parameters"].items():
        assert given.keys() <= real["parameters"][name].keys(), name
