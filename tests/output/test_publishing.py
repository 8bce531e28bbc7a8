"""Files that are whole or not there, and take nobody's name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.torture import drawing
from toonout_core.errors import BadInput, CannotWrite
from toonout_core.output.publishing import (
    Part,
    cannot_write,
    named,
    numbered,
    partial_file,
    publish_numbered,
    write_text,
    write_whole,
)
from toonout_core.output.writing import encode, publish_parts, write_checked


def part(suffix):
    def encode(stream):
        drawing().save(stream, "PNG")
        return [f"wrote {suffix}"]

    return Part(suffix, encode)


def test_parts_share_a_number(tmp_path):
    (tmp_path / "girl.b.png").write_bytes(b"somebody's")
    paths, notes = publish_parts([part(".a.png"), part(".b.png")], tmp_path, "girl")
    assert [path.name for path in paths] == ["girl_2.a.png", "girl_2.b.png"]
    assert notes == ["wrote .a.png", "wrote .b.png"]
    assert (tmp_path / "girl.b.png").read_bytes() == b"somebody's"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_part_that_fails_leaves_nothing(tmp_path):
    def fail(stream):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        publish_parts([part(".a.png"), Part(".b.png", fail)], tmp_path, "girl")
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_cannot_be_published_whole_is_taken_back(tmp_path, monkeypatch):
    partials = [tmp_path / "1", tmp_path / "2"]
    for path in partials:
        path.write_bytes(b"x")
    link, links = os.link, []

    def second_finds_no_room(source, target):
        links.append(target)
        if len(links) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        link(source, target)

    monkeypatch.setattr("os.link", second_finds_no_room)
    monkeypatch.setattr("os.replace", second_finds_no_room)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(OSError, match="No space"):
        publish_numbered(partials, lambda number: [out / f"{i}_{number}" for i in (1, 2)])
    assert list(out.iterdir()) == []


# ---------------------------------------------------------------- short files

LIMITED = """
import resource, sys
from pathlib import Path
import torch
from toonout_core.output.publishing import partial_file
from toonout_core.output.writing import encode, write_checked
image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
def size_below(limit, kind):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with partial_file(Path(sys.argv[1])) as partial:
        try:
            write_checked(partial, lambda stream: encode(stream, image, format=kind))
        except OSError:
            return 0
        return partial.stat().st_size
for kind in sys.argv[2:]:
    whole = size_below(resource.RLIM_INFINITY, kind)
    print(kind, whole, *(size_below(limit, kind) for limit in range(1, whole, 997)))
"""


@pytest.mark.skipif(os.name == "nt", reason="no limits on the size of files")
def test_what_does_not_fit_is_an_error_whatever_the_encoder_says(tmp_path):
    """The system writes as much as fits and says so, as on a disk that is nearly full."""
    kinds = ["jpg", "tiff", "webp", "png"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), *kinds],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == kinds
    for _, whole, *limited in lines:
        assert len(limited) == len(range(1, int(whole), 997)) > 4
        assert set(limited) == {"0"}
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_loses_bytes_in_silence_is_called_full(tmp_path, monkeypatch):
    def lose_some(descriptor):
        os.ftruncate(descriptor, 3)

    monkeypatch.setattr("toonout_core.output.publishing.os.fsync", lose_some)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(tmp_path / "a", lambda stream: stream.write(b"12345"), durable=True)
    assert caught.value.errno == errno.ENOSPC


def test_what_does_not_open_is_not_published(tmp_path):
    def torn(stream):
        encode(stream, torch.rand(1, 3, 40, 40))
        stream.seek(-20, os.SEEK_END)
        stream.truncate()

    with pytest.raises(BadInput, match="a picture that opens"), partial_file(tmp_path) as partial:
        write_checked(partial, torn)
    assert list(tmp_path.iterdir()) == []


def test_encoders_get_no_descriptor(tmp_path):
    assert write_whole(tmp_path / "a", lambda stream: hasattr(stream, "fileno")) is False


def test_tiff_and_jpeg_are_as_they_were(tmp_path):
    """The bytes that Pillow writes to a path itself."""
    for kind in ("jpg", "tiff"):
        image = torch.rand(1, 3, 33, 20)
        write_whole(tmp_path / f"a.{kind}", lambda s, i=image, k=kind: encode(s, i, format=k))
        with (tmp_path / f"b.{kind}").open("xb") as stream:
            encode(stream, image, format=kind)
        with Image.open(tmp_path / f"a.{kind}") as a, Image.open(tmp_path / f"b.{kind}") as b:
            assert a.tobytes() == b.tobytes()


# ---------------------------------------------------------------- names and sentences


@pytest.mark.parametrize("name", ["a" * 255, "猫" * 85, "a" * 251 + "猫"], ids=range(3))
def test_long_names_are_shortened_to_what_a_file_system_takes(tmp_path, name):
    short = {named(tmp_path / name, ending).name for ending in (".png", "_2.png", "_2_0001.png")}
    short.add(named(tmp_path / (name[:-1] + "b"), ".png").name)
    assert len(short) == 4
    for result in short:
        assert 245 <= len(os.fsencode(result)) <= 255
        assert "~" in result
        (tmp_path / result).touch()
    assert numbered(tmp_path / "girl.png", 1).name == "girl.png"
    assert numbered(tmp_path / "girl.png", 2).name == "girl_2.png"
    assert named(tmp_path / ("a" * 251), ".png").name == "a" * 251 + ".png"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk of out is full"),
        (errno.EDQUOT, "disk of out is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not write"),
        (errno.ENOTDIR, "Not a directory"),
    ],
)
def test_why_nothing_can_be_written(number, words):
    error = cannot_write(Path("out"), OSError(number, os.strerror(number), "out/.1.toonout-part"))
    assert isinstance(error, CannotWrite)
    assert words in str(error)
    assert "part" not in str(error)


def test_text_is_whole(tmp_path):
    assert write_text(tmp_path / "a.json", "猫\n", overwrite=False) == tmp_path / "a.json"
    assert write_text(tmp_path / "a.json", "x", overwrite=False) == tmp_path / "a_2.json"
    assert write_text(tmp_path / "a.json", "y", overwrite=True) == tmp_path / "a.json"
    assert (tmp_path / "a.json").read_bytes() == b"y"
