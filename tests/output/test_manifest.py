"""The manifest survives crashes and knows what is still valid."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from toonout_core.output.manifest import Manifest, Record, settings_hash


@pytest.fixture
def done(tmp_path: Path) -> tuple[Manifest, Path, Record]:
    source = tmp_path / "in" / "猫.png"
    source.parent.mkdir()
    source.write_bytes(b"cat")
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "sub/猫.png").write_bytes(b"cut")
    state = source.stat()
    record = Record(
        str(source), state.st_size, state.st_mtime_ns, "abc", "done", ("sub/猫.png",), 0.5
    )
    manifest = Manifest(out)
    manifest.append(record)
    return manifest, source, record


def test_a_finished_picture_is_known_after_a_restart(done: tuple[Manifest, Path, Record]) -> None:
    manifest, source, record = done
    again = Manifest(manifest.folder)
    assert again.finished(source, "abc") == record
    assert again.outputs() == {manifest.folder / "sub/猫.png"}


def test_what_makes_it_unfinished(done: tuple[Manifest, Path, Record]) -> None:
    manifest, source, record = done
    assert manifest.finished(source, "other settings") is None
    os.utime(source, ns=(0, 1))
    assert manifest.finished(source, "abc") is None
    os.utime(source, ns=(0, record.mtime_ns))
    assert manifest.finished(source, "abc") is not None
    (manifest.folder / "sub/猫.png").unlink()
    assert manifest.finished(source, "abc") is None
    manifest.append(replace(record, status="failed", outputs=()))
    assert manifest.finished(source, "abc") is None


def test_a_line_cut_short_costs_nothing_else(
    done: tuple[Manifest, Path, Record], caplog: pytest.LogCaptureFixture
) -> None:
    manifest, source, record = done
    with manifest.path.open("ab") as file:
        file.write(b'{"source": "half')
    again = Manifest(manifest.folder)
    assert "line 2" in caplog.text
    assert again.finished(source, "abc") == record
    other = replace(record, source="other")
    again.append(other)
    assert Manifest(manifest.folder).last(Path("other")) == other


def test_settings_hash_is_about_values() -> None:
    assert settings_hash({"a": 1, "b": 2.5}) == settings_hash({"b": 2.5, "a": 1})
    assert settings_hash({"a": 1}) != settings_hash({"a": 2})
