"""One picture's failure is its own; what concerns all ends the run, and what was done stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.imaging.files import chunk, noise, png
from tests.output.test_batch import cut, small
from toonout_core.errors import CorruptWeights, ToonOutError
from toonout_core.imaging import Picture
from toonout_core.output.batch import Batch
from toonout_core.output.cutouts import Output
from toonout_core.output.destination import Destination
from toonout_core.output.naming import find_sources
from toonout_core.output.report import Result
from toonout_core.results import Matte


def run(root: Path, out: Path, cut=cut) -> tuple[list[Result], BaseException | None]:
    """What a user has when the run is over, and why it ended early."""
    destination = Destination(out, find_sources([root]).sources, settings={})
    results: list[Result] = []
    try:
        for result in Batch(destination, lambda: cut, Output()).run():
            results.append(result)
    except Exception as error:  # noqa: BLE001
        return results, error
    return results, None


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if not path.name.startswith("."))


def failing(at: int, error: Exception):
    seen: list[Picture] = []

    def sometimes(picture: Picture) -> Matte:
        seen.append(picture)
        if len(seen) == at:
            raise error
        return cut(picture)

    return sometimes


@pytest.mark.parametrize(
    "error", [OverflowError("too large"), KeyError("x"), AssertionError(), IndexError(), EOFError()]
)
def test_any_error_is_one_pictures(tmp_path, error):
    results, ended = run(
        small(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out", failing(2, error)
    )
    assert ended is None
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert results[1].message
    assert names(tmp_path / "out") == ["a.png", "c.png"]


@pytest.mark.parametrize(
    "error", [CorruptWeights("bad"), OSError(28, "No space left on device"), MemoryError()]
)
def test_what_ends_the_run_leaves_what_was_finished(tmp_path, error):
    results, ended = run(
        small(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out", failing(2, error)
    )
    assert isinstance(ended, ToonOutError)
    assert [result.status for result in results] == ["done"]
    assert names(tmp_path / "out") == ["a.png"]


def test_an_out_that_goes_away_ends_the_run(tmp_path):
    out = tmp_path / "out"

    def removes(picture: Picture) -> Matte:
        shutil.rmtree(out)
        raise OSError("the drive is not there")

    results, ended = run(small(tmp_path / "in", "a.png", "b.png"), out, removes)
    assert "has gone" in str(ended) and results == []


def test_what_the_reader_left_out_is_told(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.png").write_bytes(png(noise(9, 9, 3), chunk(b"eXIf", b"II*\0")))
    (result,), ended = run(root, tmp_path / "out")
    assert ended is None and result.status == "done"
    assert result.notes[0].startswith("EXIF was left out")


def test_a_broken_frame_is_that_pictures_failure(tmp_path):
    root = small(tmp_path / "in", "a.png", "c.png")

    def frame(width: int, height: int) -> bytes:
        head = b",\0\0\0\0" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\0"
        return head + b"\x02\x02\x4c\x01\0"

    (root / "b.gif").write_bytes(
        b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame(1, 1) + frame(65000, 65000) + b";"
    )
    results, ended = run(root, tmp_path / "out")
    assert ended is None
    assert [result.status for result in results] == ["done", "failed", "done"]
    assert "megapixels" in results[1].message
