"""The manifest survives crashes, knows what is still valid, and is data: it can say anything."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from toonout_core.errors import CannotWrite
from toonout_core.output.manifest import LOCK_NAME, Manifest, claim
from toonout_core.output.records import Record, content_of, settings_hash


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
        str(source), state.st_size, state.st_mtime_ns, "abc", "done", ("sub/猫.png",), 0.5,
        contents=(content_of(out / "sub/猫.png"),),
    )  # fmt: skip
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
    manifest.append(replace(record, status="failed", outputs=(), contents=()))
    assert manifest.finished(source, "abc") == record  # what was done before is still there
    (manifest.folder / "sub/猫.png").unlink()
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


# ---------------------------------------------------------------- it is data

GOOD = asdict(Record("a.png", 1, 2, "abc", "done", ("a.png",), contents=("1:00",)))
BAD = [
    [1], 1, None, "text", {}, {"outputs": [1]}, {"source": [1]},
    *(GOOD | {"outputs": [name]} for name in ("../a", "/a", "a/../../b", "", ".", "a\0", 1, None)),
    GOOD | {"outputs": "a.png"}, GOOD | {"outputs": {"a": 1}}, GOOD | {"outputs": None},
    GOOD | {"contents": [1]}, GOOD | {"details": [1]}, GOOD | {"details": {}},
    GOOD | {"size": "1"}, GOOD | {"size": True}, GOOD | {"size": 1.5}, GOOD | {"mtime_ns": []},
    GOOD | {"status": "finished"}, GOOD | {"status": []}, GOOD | {"settings": 1},
    GOOD | {"message": 1}, GOOD | {"seconds": "1"}, GOOD | {"replaces": 1}, GOOD | {"source": 1},
]  # fmt: skip


@pytest.mark.parametrize("record", BAD, ids=str)
def test_what_is_no_record_is_left_out_with_a_note(
    tmp_path: Path, record: object, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [json.dumps(record), json.dumps(GOOD | {"source": "b.png", "outputs": ["b.png"]})]
    (tmp_path / ".toonout.jsonl").write_text("\n".join(lines))
    manifest = Manifest(tmp_path)
    assert "line 1 is damaged" in caplog.text
    assert manifest.outputs() == {tmp_path / "b.png"}


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff\xfe", b"9" * 5000, b'{"a": NaN'])
def test_what_is_no_json_is_left_out(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".toonout.jsonl").write_bytes(line + b"\n" + json.dumps(GOOD).encode())
    assert Manifest(tmp_path).last(Path("a.png")) is not None
    assert "line 1 is damaged" in caplog.text


def test_records_of_a_later_release_are_read(tmp_path: Path) -> None:
    (tmp_path / ".toonout.jsonl").write_text(json.dumps(GOOD | {"colour": True}))
    assert Manifest(tmp_path).last(Path("a.png")) is not None


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_lead_nowhere(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.png").write_bytes(b"x")
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").symlink_to(mine)
    (out / "b.png").symlink_to(mine / "a.png")
    content = content_of(mine / "a.png")
    record = Record("s", 1, 1, "", "done", ("sub/a.png", "b.png"), contents=(content,) * 2)
    assert Manifest(out).unchanged(record) == set()

    (tmp_path / "precious.txt").write_bytes(b"precious")
    for name in (".toonout.jsonl", LOCK_NAME):
        (out / name).symlink_to(tmp_path / "precious.txt")
    with pytest.raises(CannotWrite, match="is a link"), claim(out, wait=False):
        pass
    (out / LOCK_NAME).unlink()
    with claim(out, wait=False) as manifest, pytest.raises(OSError, match="symbolic links"):
        manifest.append(record)
    assert (tmp_path / "precious.txt").read_bytes() == b"precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".toonout.jsonl")
    assert Manifest(tmp_path).outputs() == set()


# ---------------------------------------------------------------- what was begun


def begun(out: Path, *names: str, there: int) -> Record:
    """A record of files of which the first `there` have got their names."""
    contents: list[str] = []
    for index, name in enumerate(names):
        (out / name).write_bytes(f"frame {index}".encode())
        contents.append(content_of(out / name))
        if index >= there:
            (out / name).unlink()
    return Record("s", 1, 1, "", "begun", names, contents=tuple(contents), replaces=True)


def test_what_is_there_is_confirmed_and_what_it_replaces_goes(tmp_path: Path) -> None:
    before = replace(begun(tmp_path, "a_1", "a_2", "a_3", there=3), status="done")
    (tmp_path / "a_3").write_bytes(b"retouched")
    record = replace(before, outputs=("b_1",), contents=("1:0",))
    (tmp_path / "b_1").write_bytes(b"new")
    record = replace(record, status="begun", contents=(content_of(tmp_path / "b_1"),))
    manifest = Manifest(tmp_path)
    manifest.append(before)
    manifest.append(record)
    Manifest(tmp_path).recover()
    assert {p.name for p in tmp_path.iterdir()} == {".toonout.jsonl", "a_3", "b_1"}
    assert Manifest(tmp_path).last(Path("s")) == replace(record, status="done")


@pytest.mark.parametrize("there", [0, 1, 2])
def test_what_is_not_all_there_is_undone(tmp_path: Path, there: int) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(begun(tmp_path, "a_1", "a_2", "a_3", there=there))
    (tmp_path / "a_3").write_bytes(b"somebody else's")
    manifest.recover()
    assert {path.name for path in tmp_path.iterdir()} == {".toonout.jsonl", "a_3"}
    assert manifest.last(Path("s")) is None
    held = manifest.path.read_bytes()
    Manifest(tmp_path).recover()  # there is nothing to do any more
    assert manifest.path.read_bytes() == held


def test_no_half_line_stays_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(Record("a", 1, 1, "", "done", ("a",)))
    held = manifest.path.read_bytes()

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toonout_core.output.manifest.through_to_disk", full)
    with pytest.raises(OSError, match="No space"):
        manifest.append(Record("b", 1, 1, "", "begun", ("b",)))
    assert manifest.path.read_bytes() == held
    assert manifest.outputs() == {tmp_path / "a"}


# ---------------------------------------------------------------- one at a time


def test_a_folder_has_one_run_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "new" / "out"
    with claim(out, wait=False):
        with pytest.raises(CannotWrite, match=f"process {os.getpid()} on"):
            claim(out, wait=False).__enter__()
        assert LOCK_NAME in os.listdir(out)
    assert os.listdir(out) == []
    with claim(out, wait=False), caplog.at_level(logging.WARNING):
        pass
    assert caplog.text == ""
