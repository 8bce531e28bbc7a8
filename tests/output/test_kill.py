"""`kill -9` at any moment: a run that is resumed neither doubles nor loses, see kill_points.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_points.py")


def killed(folder, scenario, every):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), scenario, str(every)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) points, (\d+) files", done.stdout)
    assert found
    return int(found[1]), int(found[2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a run is forked for each point")
@pytest.mark.parametrize(("scenario", "files"), [("first", 5), ("fewer frames", 4)])
def test_at_every_fifth_point(tmp_path, scenario, files):
    points, there = killed(tmp_path, scenario, 5)
    assert points >= 5
    assert there == files


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a run is forked for each point")
@pytest.mark.parametrize(
    "scenario", ["first", "no hard links", "other settings", "fewer frames", "overwrite"]
)
def test_at_every_point(tmp_path, scenario):
    points, _ = killed(tmp_path, scenario, 1)
    assert points >= 25
