"""Preprocessors, in the shapes that ControlNet's two homes want."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from tests.webui.fake_host import part
from tests.webui.pictures import girl
from tests.webui.test_routes import halves

NAMES = ["toonout_mask", "toonout_on_black", "toonout_characters"]


@dataclass
class Preprocessor:
    """As in the extension: named by its argument, refusing a name twice."""

    name: str
    tags: list = field(default_factory=list)
    all_processors: ClassVar[dict] = {}
    all_processors_by_name: ClassVar[dict] = {}

    def __hash__(self):
        return hash(self.name)

    @classmethod
    def add_supported_preprocessor(cls, one):
        assert one.name not in cls.all_processors
        cls.all_processors[one.name] = cls.all_processors_by_name[one.name] = one


@pytest.fixture
def extension(monkeypatch):
    module = ModuleType("scripts.supported_preprocessor")
    module.Preprocessor = Preprocessor
    monkeypatch.setitem(sys.modules, module.__name__, module)
    Preprocessor.all_processors.clear()
    Preprocessor.all_processors_by_name.clear()
    return Preprocessor.all_processors


def test_without_controlnet_nothing_happens(host):
    host.call("before_ui")


def test_they_are_registered_anew_by_every_page(host, extension):
    host.call("before_ui")
    first = dict(extension)
    host.call("app_started", None, _App())
    assert list(extension) == NAMES
    assert extension["toonout_mask"] is not first["toonout_mask"]
    assert hash(extension["toonout_mask"]) == hash("toonout_mask")
    assert extension["toonout_mask"].tags == ["Segmentation"]


class _App:
    def include_router(self, router):
        pass


def test_a_forge_without_a_place_for_them_is_told_once(host, monkeypatch, capsys):
    """Forge Neo: the list is there, the class of its entries is not."""
    monkeypatch.setitem(sys.modules, "modules_forge.shared", ModuleType("modules_forge.shared"))
    for _ in range(2):
        host.call("before_ui")
    said = capsys.readouterr().out
    assert said.count("ControlNet's preprocessors of ours are not offered") == 1


def test_forge_has_names_without_arguments(host, monkeypatch):
    class Plain:
        def __init__(self):
            self.name = "PreprocessorBase"

    added = {}
    monkeypatch.setattr(part("hosts"), "controlnet", lambda: (Plain, added.__setitem__))
    host.call("before_ui")
    assert [one.name for one in added.values()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_they_return_rgb_of_the_same_size(host, extension, monkeypatch, name):
    monkeypatch.setattr(part("characters").DETECTORS, "segmenter", halves)
    host.call("before_ui")
    picture = np.asarray(girl((256, 160)))
    shown = extension[name](picture, 512, slider_1=None, input_mask=None)
    assert (shown.shape, shown.dtype) == (picture.shape, np.uint8)
    assert shown[0, 0].max() < 40
    assert shown.max() > 100
