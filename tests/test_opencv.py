"""OpenCV that is absent, or broken: what works without it, and what is said of the rest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from toonout_core import opencv
from toonout_core.errors import MissingPackage
from toonout_core.ops.blur import box_blur, box_blur_torch
from toonout_core.ops.plate import background_plate

CORE = Path(opencv.__file__).parent


@pytest.fixture(params=[ImportError, OSError, AttributeError])
def broken(request, monkeypatch):
    """An OpenCV whose system library lacks, or that was made for another NumPy."""
    tried = []

    def fail(name):
        tried.append(name)
        raise request.param("libGL.so.1: cannot open shared object file")

    opencv._tried.cache_clear()
    monkeypatch.setattr(opencv.importlib, "import_module", fail)
    yield tried
    opencv._tried.cache_clear()


def test_what_can_do_without_works(broken):
    planes = torch.rand(1, 3, 9, 9)
    assert not opencv.available()
    assert torch.allclose(box_blur(planes, 3), box_blur_torch(planes, 3))


def test_the_rest_says_in_a_sentence_what_to_install(broken):
    alpha = torch.zeros(1, 1, 8, 8)
    alpha[..., 2:5, 2:5] = 1
    for _ in range(2):
        with pytest.raises(MissingPackage, match=r"libGL\.so\.1.*opencv-python-headless"):
            background_plate(torch.rand(1, 3, 8, 8), alpha)
    assert broken == ["cv2"], "tried once"


def test_a_sound_one_is_given():
    assert opencv.available()
    assert opencv.cv2.__name__ == "cv2"
    with pytest.raises(AttributeError):
        _ = opencv.no_such_name


def test_nobody_else_imports_it():
    """Write `from ..opencv import cv2`, so that what lacks is said in a sentence."""
    found = [
        path.relative_to(CORE).as_posix()
        for path in CORE.rglob("*.py")
        if path.name != "opencv.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import) and any(name.name == "cv2" for name in node.names)
    ]
    assert found == []
