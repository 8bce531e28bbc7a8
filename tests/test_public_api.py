"""What others may rely on. Removing a name here is a breaking change: say so in the changelog."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import toonout_core

ROOT = Path(__file__).resolve().parents[1]

PUBLIC_NAMES = [
    "WEIGHTS",
    "AdjustOptions",
    "BadInput",
    "Cancelled",
    "CentreSegmenter",
    "CorruptWeights",
    "DownloadFailed",
    "Fit",
    "ForegroundOptions",
    "FusionOptions",
    "Host",
    "InstanceSegmenter",
    "Instances",
    "LocalHost",
    "Matte",
    "Matting",
    "OutOfMemory",
    "Precision",
    "RegionSegmenter",
    "SegmentAnythingOptions",
    "SegmentOptions",
    "Segmenter",
    "ShareOptions",
    "ToonOutError",
    "UnknownModel",
    "Weights",
    "estimate_foreground",
    "fuse",
    "load_matting",
    "load_network",
    "load_segmenter",
    "segment_anything",
    "share_matte",
]


def test_public_names_are_the_stored_ones():
    assert toonout_core.__all__ == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(toonout_core, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        assert value.__name__ == name


def test_names_are_offered_to_the_user_of_a_prompt():
    assert set(PUBLIC_NAMES) <= set(dir(toonout_core))


def test_unknown_names_raise_the_usual_error():
    with pytest.raises(AttributeError, match="load_maths"):
        _ = toonout_core.load_maths


def test_importing_the_package_imports_no_library():
    code = "import sys, toonout_core; print(*({'torch', 'numpy', 'PIL', 'cv2'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert out.stdout.decode().strip() == ""


def test_the_error_tree():
    children = {"BadInput", "Cancelled", "CorruptWeights", "DownloadFailed", "UnknownModel"}
    assert {c.__name__ for c in toonout_core.ToonOutError.__subclasses__()} >= children


def test_the_version_is_written_once():
    assert f'__version__ = "{toonout_core.__version__}"' in (
        ROOT / "toonout_core" / "__init__.py"
    ).read_text("utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"[{toonout_core.__version__}]" in changelog or "[Unreleased]" in changelog
