"""A host with two folders for weight files."""

from __future__ import annotations

import pytest

from tests.fake_host import FakeHost


@pytest.fixture
def host(tmp_path):
    return FakeHost([tmp_path / "models", tmp_path / "cache"])


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "models"
    path.mkdir()
    return path
