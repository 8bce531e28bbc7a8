"""The folder engine with a matting function that costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.torture import BROKEN, EXPECTED, SRGB, drawing, plant_torture
from toonout_core.errors import (
    BadInput,
    Cancelled,
    CannotWrite,
    CorruptWeights,
    ToonOutError,
)
from toonout_core.imaging import Picture, read, to_array
from toonout_core.output.batch import Batch
from toonout_core.output.cutouts import Output
from toonout_core.output.destination import Destination
from toonout_core.output.manifest import Manifest
from toonout_core.output.naming import find_sources
from toonout_core.output.records import content_of
from toonout_core.output.report import Report
from toonout_core.results import Matte


def cut(picture: Picture) -> Matte:
    """Light is character."""
    alpha = (picture.image.mean(1, keepdim=True) > 0.5).float()
    if picture.alpha is not None:
        alpha = alpha * picture.alpha
    return Matte(picture.image, alpha)


class Run:
    """A batch over `root` into `out`, and what came of it."""

    def __init__(
        self,
        root: Path,
        out: Path,
        *,
        cut: Callable[[Picture], Matte] = cut,
        settings: dict[str, object] | None = None,
        output: Output | None = None,
        **options: object,
    ) -> None:
        self.loads = 0
        self.report = Report()

        def make() -> Callable[[Picture], Matte]:
            self.loads += 1
            return cut

        manifest = Manifest(out)
        found = find_sources([root], recursive=True, out=out, results=manifest.outputs())
        destination = Destination(
            out,
            found.sources,
            settings=settings or {"model": "fake"},
            manifest=manifest,
            **options,  # type: ignore[arg-type]
        )
        self.batch = Batch(destination, make, output or Output())
        for result in self.batch.run():
            self.report.results.append(result)

    def outcome(self, root: Path) -> dict[str, str]:
        return {r.source.relative_to(root).as_posix(): r.status for r in self.report.results}


def files_in(folder: Path) -> dict[str, str]:
    """Name → hash, hidden ones left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture
def torture(tmp_path: Path) -> Path:
    return plant_torture(tmp_path / "in")


def small(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        drawing().save(root / name)
    return root


def test_torture_folder(torture: Path, tmp_path: Path) -> None:
    before = files_in(torture)
    out = tmp_path / "out"
    run = Run(torture, out)
    expected = dict.fromkeys(EXPECTED, "done") | dict.fromkeys(BROKEN, "failed")
    assert run.outcome(torture) == expected
    assert set(files_in(out)) == {name for names in EXPECTED.values() for name in names}
    for result in run.report.results:
        name = result.source.relative_to(torture).as_posix()
        assert [p.relative_to(out).as_posix() for p in result.outputs] == EXPECTED.get(name, [])
        assert bool(result.message) == (result.status == "failed")
    assert run.report.exit_code == 1
    assert files_in(torture) == before
    assert not [path for path in out.rglob("*") if path.name.endswith("part")]

    again = Run(torture, out, resume=True)
    assert (again.batch.inferences, again.loads) == (0, 0)
    assert again.report.count("resumed") == len(EXPECTED)
    assert again.report.count("failed") == len(BROKEN)  # tried again, as they may be whole by now


def test_what_the_pictures_look_like(torture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = Run(torture, out)
    notes = {r.source.name: r.notes for r in run.report.results}
    cutout = read(out / "a.png.png")
    assert cutout.metadata.text == {"parameters": "1girl, 猫\nSteps: 20"}
    assert cutout.metadata.icc_profile == SRGB
    assert cutout.metadata.dpi == pytest.approx((300, 300), abs=0.02)
    assert cutout.alpha is not None
    assert float(cutout.alpha[0, 0, 12, 16]) == 1
    assert float(cutout.alpha[0, 0, 0, 0]) == 0
    assert read(out / "rotated.png").size_hw == (32, 24)
    assert read(out / "cmyk.png").metadata.icc_profile is None
    assert read(out / "wide.png").size_hw == (3, 5000)
    for name in ("deep_grey", "deep_colour"):
        assert read(out / f"{name}.png").bits == 16
        assert np.array_equal(
            to_array(cut(read(torture / f"{name}.png")).colours, 16),
            to_array(read(out / f"{name}.png").image, 16),
        )
    assert float(read(out / "grey_alpha.png").alpha.max()) == pytest.approx(100 / 255)  # type: ignore[union-attr]
    assert notes["run.gif"] == ("3 frames",)
    assert "the picture is one flat colour" in notes["flat.png"]
    assert "no character was found: alpha stays below 0.5" in notes["one.bmp"]


def test_messages_are_sentences(torture: Path, tmp_path: Path) -> None:
    run = Run(torture, tmp_path / "out")
    messages = {r.source.name: r.message for r in run.report.results if r.message}
    assert "100 megapixels" in messages["bomb.png"]
    for name, message in messages.items():
        assert name in message
        assert message.endswith(".")


def test_16_bits_into_8_is_said(torture: Path, tmp_path: Path) -> None:
    run = Run(torture, tmp_path / "out", output=Output(format="webp"))
    notes = {r.source.name: r.notes for r in run.report.results}
    assert "16 bits a channel were written as 8" in notes["deep_colour.png"]


def test_existing_results_are_numbered_by_default(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    Run(root, out)
    before = files_in(out)
    run = Run(root, out)
    assert set(files_in(out)) == {"a.png", "b.png", "a_2.png", "b_2.png"}
    assert {name: files_in(out)[name] for name in before} == before
    assert "2 saved under a new number" in run.report.sentence()


def test_existing_results_are_skipped_or_overwritten_on_request(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    run = Run(root, out, existing="skip")
    assert run.outcome(root) == {"a.png": "skipped", "b.png": "done"}
    assert (out / "a.png").read_bytes() == b"mine"
    assert "1 left out, as their results exist" in run.report.sentence()
    run = Run(root, out, existing="overwrite")
    assert "2 replaced earlier results" in run.report.sentence()
    assert (out / "a.png").read_bytes() != b"mine"
    assert set(files_in(out)) == {"a.png", "b.png"}


def test_inputs_are_safe_even_from_overwriting(tmp_path: Path) -> None:
    root = small(tmp_path / "in", "a.png", "b.png")
    before = files_in(root)
    run = Run(root, root, existing="overwrite")
    assert run.report.count("done") == 2
    after = files_in(root)
    assert {name: after[name] for name in before} == before
    assert set(after) == {"a.png", "b.png", "a_2.png", "b_2.png"}
    again = Run(root, root, resume=True)
    assert again.outcome(root) == {"a.png": "resumed", "b.png": "resumed"}


def test_resume_does_what_changed(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out"
    Run(root, out)
    drawing(40, 40).save(root / "b.png")
    (out / "c.png").unlink()
    run = Run(root, out, resume=True)
    assert run.outcome(root) == {"a.png": "resumed", "b.png": "done", "c.png": "done"}
    assert set(files_in(out)) == {"a.png", "b.png", "c.png"}  # b's own result was replaced
    assert read(out / "b.png").size_hw == (40, 40)


def test_changed_settings_are_done_again(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png"), tmp_path / "out"
    Run(root, out, settings={"grow": 0})
    run = Run(root, out, settings={"grow": 1}, resume=True)
    assert run.outcome(root) == {"a.png": "done"}
    assert set(files_in(out)) == {"a.png"}


def test_resume_never_replaces_what_is_not_ours(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png"), tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    Run(root, out, resume=True)
    Run(root, out, resume=True, settings={"other": 1})
    assert (out / "a.png").read_bytes() == b"mine"
    assert set(files_in(out)) == {"a.png", "a_2.png"}


def retouch(path: Path) -> bytes:
    """A user's work on a result, which is still a picture."""
    with Image.open(path) as picture:
        picture.convert("RGBA").rotate(180).save(path)
    return path.read_bytes()


def test_a_retouched_result_is_nobodys_but_theirs(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    Run(root, out)
    mine = retouch(out / "a.png")
    same = Run(root, out, resume=True)
    assert same.report.count("resumed") == 2
    for settings in ({"grow": 1}, {"grow": 2}):
        run = Run(root, out, settings=dict(settings), resume=True)
        assert set(files_in(out)) == {"a.png", "a_2.png", "b.png"}
        assert (out / "a.png").read_bytes() == mine
    assert "2 replaced earlier results" in run.report.sentence()  # b.png and a_2.png


def test_a_retouched_frame_keeps_its_whole_animation(torture: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "gif", tmp_path / "out"
    root.mkdir()
    (torture / "run.gif").rename(root / "run.gif")
    Run(root, out)
    mine = retouch(out / "run_0002.png")
    Run(root, out, settings={"grow": 1}, resume=True)
    frames = [f"run_{i:04d}.png" for i in (1, 2, 3)]
    assert set(files_in(out)) == {*frames, *(f"run_2_{i:04d}.png" for i in (1, 2, 3))}
    assert (out / "run_0002.png").read_bytes() == mine


def test_a_failure_in_between_does_not_double(tmp_path: Path) -> None:
    def fail(_: Picture) -> Matte:
        raise RuntimeError("out of luck")

    root, out = small(tmp_path / "in", "a.png"), tmp_path / "out"
    Run(root, out)
    assert Run(root, out, cut=fail, settings={"grow": 1}, resume=True).report.count("failed") == 1
    Run(root, out, settings={"grow": 1}, resume=True)
    assert set(files_in(out)) == {"a.png"}


def test_overwriting_among_the_inputs_replaces_our_own(tmp_path: Path) -> None:
    root = small(tmp_path / "in", "a.png")
    before = (root / "a.png").read_bytes()
    for grow in range(3):
        run = Run(root, root, settings={"grow": grow}, existing="overwrite")
        assert run.report.count("done") == 1
        assert set(files_in(root)) == {"a.png", "a_2.png"}
    mine = retouch(root / "a_2.png")
    Run(root, root, existing="overwrite")
    assert set(files_in(root)) == {"a.png", "a_2.png", "a_3.png"}
    assert (root / "a.png").read_bytes() == before
    assert (root / "a_2.png").read_bytes() == mine


@pytest.mark.parametrize("options", [{"resume": True}, {"existing": "overwrite"}])
def test_a_manifest_never_reaches_out_of_its_folder(
    tmp_path: Path, options: dict[str, object]
) -> None:
    root, out = small(tmp_path / "in", "a.png"), tmp_path / "out"
    out.mkdir()
    thesis, notes, ours = tmp_path / "thesis.txt", tmp_path / "notes.txt", out / "a.png"
    for path in (thesis, notes, ours):
        path.write_bytes(b"words")
    state = (root / "a.png").stat()
    names = ["a.png", "../notes.txt", str(thesis)]
    lines = [
        {
            "source": str(root / "a.png"), "size": state.st_size, "mtime_ns": state.st_mtime_ns,
            "settings": "", "status": status, "outputs": outputs, "replaces": True,
            "contents": [content_of(thesis)] * len(outputs), "seconds": 1.0, "message": "",
        }
        for status in ("done", "begun")
        for outputs in ([*names], names[1:2], names[2:], [1])
    ]  # fmt: skip
    (out / ".toonout.jsonl").write_text("\n".join(map(json.dumps, [*lines, [1], {}])))
    run = Run(root, out, **options)
    assert run.report.count("done") == 1
    assert thesis.read_bytes() == notes.read_bytes() == b"words"
    if "resume" in options:  # what was there is not ours: no record is left that says so
        assert ours.read_bytes() == b"words"


@pytest.mark.parametrize("stem", ["n" * 251, "猫" * 83], ids=["one byte", "three bytes"])
def test_a_result_fits_a_name_that_just_fitted(tmp_path: Path, stem: str) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    frames = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(2)]
    frames[0].save(root / f"{stem}.gif", save_all=True, append_images=frames[1:])
    run = Run(root, out)
    assert run.report.count("done") == 1
    assert Run(root, out, resume=True).report.count("resumed") == 1
    assert Run(root, out, existing="skip").report.count("skipped") == 1
    assert len(files_in(out)) == 2
    assert all(name.startswith(stem[:40]) for name in files_in(out))


def test_a_name_that_the_system_refuses_is_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems exist that take less than 255 bytes."""

    def too_long(source: Path, target: Path) -> None:
        raise OSError(36, "File name too long", str(source), None, str(target))

    monkeypatch.setattr("os.link", too_long)
    monkeypatch.setattr("os.replace", too_long)
    out = tmp_path / "out"
    run = Run(small(tmp_path / "in", "a.png"), out)
    assert run.report.results[0].message == f"File name too long: {out / 'a.png'}."


def test_stopping_keeps_what_is_done_and_leaves_nothing_half(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out"
    seen: list[Picture] = []

    def second_stops(picture: Picture) -> Matte:
        seen.append(picture)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return cut(picture)

    with pytest.raises(KeyboardInterrupt):
        Run(root, out, cut=second_stops)
    assert [p.name for p in sorted(out.iterdir())] == [".toonout.jsonl", "a.png"]
    run = Run(root, out, resume=True)
    assert run.outcome(root) == {"a.png": "resumed", "b.png": "done", "c.png": "done"}


def test_a_picture_is_encoded_while_the_next_one_is_cut(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    seen: list[bool] = []

    def second_waits_for_the_first(picture: Picture) -> Matte:
        deadline = time.monotonic() + 20
        while seen and time.monotonic() < deadline:
            partials = [path for path in out.iterdir() if path.suffix == ".toonout-part"]
            if partials and partials[0].stat().st_size > 0:
                seen.append(True)
                break
            time.sleep(0.01)
        seen.append(False)
        return cut(picture)

    run = Run(root, out, cut=second_waits_for_the_first)
    assert seen == [False, True, False]
    assert run.report.count("done") == 2


def test_leaving_early_leaves_nothing_half(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out"
    destination = Destination(out, find_sources([root]).sources, settings={})
    for result in Batch(destination, lambda: cut, Output()).run():
        assert result.source.name == "a.png"
        break
    assert [path.name for path in out.iterdir()] == ["a.png"]


def test_an_animation_is_whole_or_absent(torture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[Picture] = []

    def third_frame_fails(picture: Picture) -> Matte:
        seen.append(picture)
        if len(seen) == 3:
            raise RuntimeError("out of luck")
        return cut(picture)

    found = find_sources([torture / "run.gif"])
    destination = Destination(out, found.sources, settings={})
    batch = Batch(destination, lambda: third_frame_fails, Output())
    (result,) = batch.run()
    assert (result.status, result.message) == ("failed", "out of luck")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("error", [Cancelled("stop"), CorruptWeights("bad file")])
def test_what_concerns_all_pictures_ends_the_run(tmp_path: Path, error: ToonOutError) -> None:
    def broken(_: Picture) -> Matte:
        raise error

    with pytest.raises(type(error)):
        Run(small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out", cut=broken)


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    def full(_: Picture) -> Matte:
        raise OSError(28, "No space left on device")

    with pytest.raises(ToonOutError, match="is full"):
        Run(small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out", cut=full)


@pytest.mark.parametrize(
    ("number", "words"), [(28, "is full"), (30, "read-only"), (122, "is full")]
)
def test_where_nothing_can_be_written_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    root, out = small(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    Run(root, out)

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number), str(out / ".1.toonout-part"))

    monkeypatch.setattr("os.fsync", refuse)
    held = files_in(out)
    with pytest.raises(CannotWrite, match=words) as caught:
        Run(root, out, settings={"grow": 1}, resume=True)
    assert "part" not in str(caught.value)
    assert {path.name for path in out.iterdir()} == {".toonout.jsonl", "a.png", "b.png"}
    assert files_in(out) == held
    monkeypatch.undo()
    run = Run(root, out, settings={"grow": 1}, resume=True)
    assert run.report.count("done") == 2
    assert set(files_in(out)) == {"a.png", "b.png"}


def test_no_number_is_no_result(tmp_path: Path) -> None:
    def nan(picture: Picture) -> Matte:
        return Matte(picture.image, picture.image[:, :1] * float("nan"))

    run = Run(small(tmp_path / "in", "a.png"), tmp_path / "out", cut=nan)
    assert "NaN" in run.report.results[0].message
    assert files_in(tmp_path / "out") == {}


def test_links_in_out_do_not_lead_outside(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "sub/a.png"), tmp_path / "out"
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "sub").symlink_to(tmp_path / "elsewhere")
    run = Run(root, out)
    assert "must stay inside" in run.report.results[0].message
    assert files_in(tmp_path / "elsewhere") == {}


def test_background_mask_and_formats(tmp_path: Path) -> None:
    root = small(tmp_path / "in", "a.png")
    green = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)
    Run(root, tmp_path / "jpg", output=Output(format="jpg", background=green))
    assert np.asarray(Image.open(tmp_path / "jpg/a.jpg"))[0, 0].tolist() == [0, 255, 1]
    Run(root, tmp_path / "mask", output=Output(mask_only=True))
    with Image.open(tmp_path / "mask/a.png") as mask:
        assert mask.mode == "L"
        assert set(np.unique(np.asarray(mask))) == {0, 255}
    with pytest.raises(BadInput, match="background colour"):
        Output(format="jpg")
    with pytest.raises(BadInput, match="8 bits"):
        Output(format="webp", bits=16)


def test_report_as_json(torture: Path, tmp_path: Path) -> None:
    report = Run(torture, tmp_path / "out").report
    data = json.loads(json.dumps(report.as_json()))
    assert data["counts"] == {"done": 14, "failed": 5, "skipped": 0, "resumed": 0}
    assert {Path(p["source"]).name for p in data["pictures"] if p["status"] == "failed"} == {
        Path(name).name for name in BROKEN
    }


def test_abandoned_files_go_after_a_day(tmp_path: Path) -> None:
    root, out = small(tmp_path / "in", "a.png"), tmp_path / "out"
    out.mkdir()
    old, fresh = out / ".0.toonout-part.mp4", out / ".1.toonout-part"
    of_a_killed_run = out / ".2.locked.toonout-part"
    for path in (old, fresh, of_a_killed_run):
        path.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    Run(root, out)
    assert not old.exists()
    assert not of_a_killed_run.exists()  # we hold the lock, so its run has ended
    assert fresh.exists()
