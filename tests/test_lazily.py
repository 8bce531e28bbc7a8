"""Names of packages that are imported when they are first asked for."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from toonout_core.lazily import lazily


@pytest.fixture
def package(monkeypatch, tmp_path):
    folder = tmp_path / "lazy_example"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "inner.py").write_text("asked = []\nvalue = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    package = ModuleType("lazy_example")
    package.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, "lazy_example", package)
    yield package
    sys.modules.pop("lazy_example.inner", None)


def test_a_name_is_imported_once_and_kept(package):
    find = lazily("lazy_example", {"inner": ("value",)})
    assert "lazy_example.inner" not in sys.modules
    assert find("value") == 7
    assert package.value == 7


def test_an_unknown_name_is_an_attribute_error(package):
    find = lazily("lazy_example", {"inner": ("value",)})
    with pytest.raises(AttributeError, match="'lazy_example' has no attribute 'other'"):
        find("other")
    assert "lazy_example.inner" not in sys.modules
