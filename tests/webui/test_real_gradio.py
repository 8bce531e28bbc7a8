"""The pages in the real gradio, in environments made as docs/testing.md says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

PYTHONS = [name for name in os.environ.get("TOONOUT_GRADIO_PYTHONS", "").split(os.pathsep) if name]


@pytest.mark.skipif(not PYTHONS, reason="needs TOONOUT_GRADIO_PYTHONS, see docs/testing.md")
@pytest.mark.parametrize("python", PYTHONS or ["none"])
def test_pages_are_built_and_the_button_works(python):
    script = Path(__file__).with_name("build_pages.py")
    done = subprocess.run(
        [python, str(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["twice"] == []
    assert report["ids"] > 100
    assert (report["format"], report["mode"]) == ("PNG", "RGBA")
    assert report["lowest"] < 20
