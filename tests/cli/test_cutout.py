"""`toonout cutout`, called as a user would."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.torture import BROKEN, EXPECTED, drawing, plant_torture
from toonout_core.output.manifest import claim
from toonout_core.results import Matte

Call = Callable[..., object]


@pytest.fixture
def cutout(toonout, model):
    def call(*arguments):
        return toonout(
            "cutout", *arguments, "--model", model, "--device", "cpu", "--resolution", 32
        )

    return call


@pytest.fixture
def girl(tmp_path):
    path = tmp_path / "girl.png"
    drawing().save(path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_results_among_the_sources_are_not_cut_again(cutout, girl):
    folder = girl.parent
    assert cutout(folder, "-o", folder).code == 0
    assert [name for name in names(folder) if name[0] != "."] == ["girl.png", "girl_2.png"]
    with Image.open(folder / "girl_2.png") as result:
        result.rotate(180).save(folder / "girl_2.png")  # a retouched one is a result, too
    mine = (folder / "girl_2.png").read_bytes()
    shell = cutout(folder, "-o", folder)
    assert shell.code == 0, shell.stderr
    assert "Own results among the inputs, left out: 1." in shell.stderr
    expected = ["girl.png", "girl_2.png", "girl_3.png"]
    assert [name for name in names(folder) if name[0] != "."] == expected
    assert (folder / "girl_2.png").read_bytes() == mine


def test_a_second_run_says_at_its_start_that_results_are_there(cutout, girl, tmp_path):
    out = tmp_path / "out"
    assert "there already" not in cutout(girl, "-o", out).stderr
    said = "1 result is there already; new ones get new numbers. --resume leaves them out"
    again = cutout(girl, "-o", out).stderr
    assert again.index(said) < again.index("loaded in")
    assert [name for name in names(out) if name[0] != "."] == ["girl.png", "girl_2.png"]
    for options in (["--quiet"], ["--resume"], ["--overwrite"], ["--on-exists", "skip"]):
        assert "there already" not in cutout(girl, "-o", out, *options).stderr
    assert "there already" not in cutout(girl, "-o", out, "--format", "webp").stderr


def test_results_of_other_programs_are_seen_at_the_start_too(cutout, girl, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("girl.png", "boy.png"):
        drawing().save(tmp_path / "out" / name)
    drawing().save(tmp_path / "boy.jpg")
    shell = cutout(girl, tmp_path / "boy.jpg", "-o", tmp_path / "out")
    assert "2 results are there already" in shell.stderr
    assert "--on-exists skip leaves them out" in shell.stderr
    beside = cutout(girl, "-o", tmp_path)  # an input is no result
    assert "there already" not in beside.stderr


def test_a_picture_that_stays_broken(cutout, girl, tmp_path):
    """It says what is wrong, and how the folder gets whole."""
    (tmp_path / "broken.webp").write_bytes(b"RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0" + bytes(20))
    broken, out = tmp_path / "broken.webp", tmp_path / "out"
    first = cutout(girl, broken, "-o", out)
    assert first.code == 1
    assert f"failed: {broken} is damaged or not a picture: it must be" in first.stderr
    assert "--resume tries" not in first.stderr
    again = cutout(girl, broken, "-o", out, "--resume")
    assert again.code == 1
    assert "move such a file away to end that." in again.stderr.splitlines()[-1]
    assert cutout(girl, "-o", out, "--resume").code == 0


def test_no_empty_folder_stays(toonout, girl, tmp_path):
    shell = toonout("cutout", girl, "-o", tmp_path / "a" / "b", "--model", "isnet-anime",
                    "--no-download", "--models-dir", tmp_path)  # fmt: skip
    assert shell.code == 2
    assert not (tmp_path / "a").exists()
    toonout("cutout", girl, "-o", tmp_path / "a" / "b.png", "--model", "isnet-anime",
            "--no-download", "--models-dir", tmp_path)  # fmt: skip
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    toonout("cutout", girl, "-o", tmp_path / "mine", "--model", "isnet-anime",
            "--no-download", "--models-dir", tmp_path)  # fmt: skip
    assert (tmp_path / "mine").is_dir()


def test_torture_folder_from_the_shell(cutout, tmp_path):
    root, out = plant_torture(tmp_path / "in"), tmp_path / "in" / "out"
    inputs = names(root)
    shell = cutout(root, "-o", out, "--frames", "--recursive", "--report", tmp_path / "report.json")
    assert shell.code == 1
    expected = sorted(name for outputs in EXPECTED.values() for name in outputs)
    assert [name for name in names(out) if name != ".toonout.jsonl"] == expected
    assert [name for name in names(root) if not name.startswith("out/")] == inputs
    for name in BROKEN:
        line = re.search(rf"^failed: .*{re.escape(name)}:? .+\.$", shell.stderr, re.MULTILINE)
        assert line
        assert line[0].count(str(root / name)) == 1
    assert f"{len(EXPECTED)} done, {len(BROKEN)} failed." in shell.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"]["done"] == len(EXPECTED)

    again = cutout(
        root, "-o", out, "--frames", "--recursive", "--resume", "--report", tmp_path / "report.json"
    )
    assert again.code == 1  # the broken ones are still broken
    assert json.loads((tmp_path / "report.json").read_text())["counts"] == {
        "done": 0, "failed": len(BROKEN), "skipped": 0, "resumed": len(EXPECTED),
    }  # fmt: skip
    assert [name for name in names(out) if name != ".toonout.jsonl"] == expected
    assert "loaded in" not in again.stderr  # nothing to do: no network was even read


def test_resume_sees_other_settings(cutout, tmp_path, girl):
    out = tmp_path / "out"
    assert cutout(girl, "-o", out).code == 0
    before = (out / "girl.png").read_bytes()
    again = cutout(girl, "-o", out, "--resume", "--background", "#ff00ff")
    assert "1 done, 1 replaced earlier results." in again.stderr
    assert (out / "girl.png").read_bytes() != before
    assert names(out) == [".toonout.jsonl", "girl.png"]


def test_a_file_to_a_file(cutout, tmp_path, girl):
    assert cutout(girl, "-o", tmp_path / "x.webp").code == 0
    with Image.open(tmp_path / "x.webp") as picture:
        assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGBA", (32, 24))
    assert cutout(girl, "-o", tmp_path / "x.jpeg", "--background", "white").code == 0
    assert names(tmp_path) == ["girl.png", "x.jpeg", "x.webp"]


def test_an_input_is_not_overwritten(cutout, girl):
    before = girl.read_bytes()
    shell = cutout(girl, "-o", girl, "--overwrite")
    assert shell.code == 0
    assert girl.read_bytes() == before
    assert (girl.parent / "girl_2.png").is_file()


def test_hidden_colours_of_a_background_do_not_show(cutout, tmp_path, girl):
    """Red that is wholly transparent is white behind the character, as a viewer shows it."""
    scene, plain = tmp_path / "bg.png", tmp_path / "white.png"
    Image.new("RGBA", (40, 30), (255, 0, 0, 0)).save(scene)
    assert cutout(girl, "-o", tmp_path / "a.png", "--background", scene).code == 0
    assert cutout(girl, "-o", plain, "--background", "white").code == 0
    assert np.array_equal(Image.open(tmp_path / "a.png"), Image.open(plain))


def test_fp16_on_a_processor_is_refused(toonout, tmp_path, girl, model):
    given = ("--model", model, "--device", "cpu", "--precision", "fp16")
    shell = toonout("cutout", girl, "-o", tmp_path / "a.png", *given)
    assert shell.code == 2
    assert "about 7 times slower" in shell.stderr
    assert not (tmp_path / "a.png").exists()


def test_background_mask_and_no_foreground(cutout, tmp_path, girl):
    assert cutout(girl, "-o", tmp_path / "magenta.png", "--background", "#ff00ff").code == 0
    with Image.open(tmp_path / "magenta.png") as picture:
        assert picture.mode == "RGB"
    scene = tmp_path / "scene.png"
    Image.new("RGB", (300, 20), (0, 200, 0)).save(scene)
    assert cutout(girl, "-o", tmp_path / "on_scene.png", "--background", scene).code == 0
    with Image.open(tmp_path / "on_scene.png") as picture:
        assert picture.size == (32, 24)
    assert cutout(girl, "-o", tmp_path / "mask.png", "--mask-only").code == 0
    with Image.open(tmp_path / "mask.png") as picture:
        assert picture.mode == "L"
    assert cutout(girl, "-o", tmp_path / "as_is.png", "--no-foreground").code == 0
    with Image.open(girl) as source, Image.open(tmp_path / "as_is.png") as result:
        visible = np.asarray(result)[..., 3] > 0
        assert np.array_equal(np.asarray(source)[visible], np.asarray(result)[visible][:, :3])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "out", "--format", "jpg"], "background colour"),
        (["-o", "x.jpg"], "background colour"),
        (["-o", "x.png", "--format", "webp"], "--format must fit"),
        (["-o", "out", "--model", "no-such-model"], "no-such-model"),
        (["-o", "out", "--device", "cuda:9"], "device must be"),
        (["-o", "out", "--quality", "200"], "quality must be"),
        (["-o", "x.bmp"], "a result must be one of png, "),
        (["-o", "girl.png/out"], "must be a folder, but got the file girl.png"),
        (["-o", "out", "--black", "0.9", "--white", "0.1"], "black point must be below"),
        (["-o", "out", "--background", "no-colour"], "no-colour"),
        ([], "-o OUT"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    toonout, girl, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.chdir(tmp_path)
    shell = toonout("cutout", girl, "--no-download", *options)
    assert shell.code == 2
    assert sentence in shell.stderr
    assert "Traceback" not in shell.stderr
    assert names(tmp_path) == ["girl.png"]


def test_a_folder_of_pictures_is_no_file(cutout, tmp_path, girl):
    shell = cutout(girl.parent, "-o", tmp_path / "x.png")
    assert shell.code == 2
    assert "OUT must be a folder for several pictures" in shell.stderr
    assert not (tmp_path / "x.png").exists()


def test_an_empty_folder_is_named(cutout, tmp_path):
    (tmp_path / "empty").mkdir()
    shell = cutout(tmp_path / "empty", "-o", tmp_path / "out")
    assert shell.code == 2
    assert f"There is no picture in {tmp_path / 'empty'}." in shell.stderr


def test_nothing_there_is_code_2_and_something_missing_code_1(cutout, tmp_path, girl):
    shell = cutout(tmp_path / "none.png", "-o", tmp_path / "out")
    assert shell.code == 2
    assert "none.png: There is no such file or folder." in shell.stderr
    shell = cutout(tmp_path / "none.png", girl, "-o", tmp_path / "out")
    assert shell.code == 1
    assert (tmp_path / "out/girl.png").is_file()


def test_subfolders_and_skips_are_told(cutout, tmp_path, girl):
    (tmp_path / "sub").mkdir()
    drawing().save(tmp_path / "sub/b.png")
    shell = cutout(tmp_path, "-o", tmp_path / "out")
    assert "Subfolders not read: 1 (--recursive reads them)." in shell.stderr
    shell = cutout(girl, "-o", tmp_path / "out", "--on-exists", "skip")
    assert "1 left out, as their results exist" in shell.stderr


def test_quiet_says_nothing_but_errors(cutout, tmp_path, girl):
    assert cutout(girl, "-o", tmp_path / "out", "-q").stderr == ""


class Pipe:
    """stdin or stdout with bytes behind them."""

    def __init__(self, content=b""):
        self.buffer = io.BytesIO(content)

    def isatty(self):
        return False

    def flush(self):
        pass


def test_through_a_pipe(cutout, girl, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin", Pipe(girl.read_bytes()))
    monkeypatch.setattr("sys.stdout", Pipe())
    assert cutout("-").code == 0
    piped = sys.stdout.buffer.getvalue()
    monkeypatch.undo()
    assert cutout(girl, "-o", tmp_path / "file.png").code == 0
    assert piped == (tmp_path / "file.png").read_bytes()


def test_stdin_to_a_file(cutout, girl, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin", Pipe(girl.read_bytes()))
    assert cutout("-", "-o", tmp_path / "file.png").code == 0
    with Image.open(tmp_path / "file.png") as picture:
        assert picture.mode == "RGBA"


def test_a_terminal_gets_no_bytes(cutout, girl, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shell = cutout(girl, "-o", "-")
    assert shell.code == 2
    assert "must go to a file" in shell.stderr


def test_help_imports_no_torch():
    code = (
        "import sys\n"
        "from toonout_core.cli import build_parser\n"
        "build_parser().format_help()\n"
        "heavy = {'torch', 'numpy', 'PIL', 'cv2', 'aiohttp', 'safetensors'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["cutout", "queue", "doctor", "evaluate"])
def test_every_verb_shows_examples(toonout, verb):
    shell = toonout(verb, "--help")
    assert shell.code == 0
    assert f"examples:\n  toonout {verb}" in shell.stdout


SLOW = """
import sys, time
import toonout_core.cli.cutting as cutting
from toonout_core.output.manifest import claim
from toonout_core.results import Matte

def load(arguments, **_):
    def matting(picture, **_):
        print("working", file=sys.stderr, flush=True)
        time.sleep(0.4)
        return Matte(picture.image, picture.image[:, :1])
    return matting

cutting.load_model = load
from toonout_core.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def half_transparent(picture, **_):
    return Matte(picture.image, picture.image[:, :1] * 0 + 0.5)


@pytest.mark.skipif(os.name == "nt", reason="no such signals for a child process")
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_stop_leaves_whole_files_only(tmp_path, how, toonout, monkeypatch):
    how = getattr(signal, how)
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for index in range(9):
        drawing().save(root / f"{index}.png")
    arguments = ["cutout", root, "-o", out, "--report", tmp_path / "report.json", "--resume"]
    command = [sys.executable, "-c", SLOW, *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        working = (line for line in process.stderr if line == "working\n")
        for _ in range(4 if how == signal.SIGKILL else 3):
            next(working)
        time.sleep(0.1)
        process.send_signal(how)
        said = process.stderr.read()
    assert "Traceback" not in said
    done = [name for name in names(out) if name.endswith(".png")]
    assert done[:2] == ["0.png", "1.png"]
    assert len(done) < 9
    for name in done:
        with Image.open(out / name) as picture:
            picture.load()
    if how != signal.SIGKILL:
        assert process.returncode == {signal.SIGTERM: 143, signal.SIGHUP: 129}.get(how, 130)
        assert "then interrupted" in said
        assert names(out) == [".toonout.jsonl", *done]
        report = json.loads((tmp_path / "report.json").read_text())
        assert (report["interrupted"], report["counts"]["done"]) == (True, len(done))
    monkeypatch.setattr("toonout_core.cli.cutting.load_model", lambda *_, **__: half_transparent)
    finished = toonout(*arguments)
    assert finished.code == 0
    assert f"{9 - len(done)} done, {len(done)} done before" in finished.stderr
    assert names(out) == [".toonout.jsonl", *(f"{i}.png" for i in range(9))]


def test_large_pictures_can_be_reduced(cutout, tmp_path):
    path = tmp_path / "large.png"
    drawing(200, 400).save(path)
    assert cutout(path, "-o", tmp_path / "small.png", "--shrink-to", "0.02").code == 0
    with Image.open(tmp_path / "small.png") as picture:
        assert picture.size == (200, 100)
    assert cutout(path, "-o", tmp_path / "same.png", "--shrink-to", "1").code == 0
    with Image.open(tmp_path / "same.png") as picture:
        assert picture.size == (400, 200)


def test_the_matte_is_adjusted_before_its_colours(cutout, tmp_path, girl):
    # alpha of the random network lies around 0.5: nothing is left, or everything
    assert cutout(girl, "-o", tmp_path / "none.png", "--black", "0.99").code == 0
    assert cutout(girl, "-o", tmp_path / "all.png", "--white", "0.01").code == 0
    with Image.open(tmp_path / "none.png") as none, Image.open(tmp_path / "all.png") as whole:
        assert np.asarray(none)[..., 3].max() == 0
        assert np.asarray(whole)[..., 3].min() == 255
        with Image.open(girl) as source:
            assert np.array_equal(np.asarray(whole)[..., :3], np.asarray(source))
    shell = cutout(girl, "-o", tmp_path / "x.png", "--black", "0.9", "--white", "0.1")
    assert shell.code != 0
    assert "Traceback" not in shell.stderr


def test_a_folder_that_cannot_be_made(cutout, tmp_path, girl):
    shell = cutout(girl, "-o", girl / "out")
    assert shell.code == 2
    assert "Traceback" not in shell.stderr


# ---------------------------------------------------------------- one run at a time


def test_the_second_run_waits_and_says_for_whom(tmp_path, girl):
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW, "cutout", str(girl), "-o", str(out)]
    with ExitStack() as first:
        first.enter_context(claim(out, wait=False))
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert said.startswith(f"waiting, as another run writes to {out}: process ")
            assert f" {os.getpid()} on " in said
            assert names(out) == [".toonout.lock"]
            first.close()
            assert "1 done" in process.stderr.read()
    assert process.returncode == 0
    assert names(out) == [".toonout.jsonl", "girl.png"]


def test_two_runs_at_once_make_each_result_once(tmp_path):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    for index in range(3):
        drawing().save(root / f"{index}.png")
    command = [sys.executable, "-c", SLOW, "cutout", str(root), "-o", str(out), "--resume"]
    with ExitStack() as both:
        runs = [
            both.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        said = "".join(run.communicate()[1] for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert said.count("working\n") == 3
    assert "3 done before" in said
    assert names(out) == [".toonout.jsonl", "0.png", "1.png", "2.png"]


def test_a_report_takes_the_place_of_reports_only(cutout, tmp_path, girl):
    report = tmp_path / "report.json"
    assert f"Report: {report}\n" in cutout(girl, "-o", tmp_path / "out", "--report", report).stderr
    again = cutout(girl, "-o", tmp_path / "out", "--report", report)
    assert f"Report: {report}, in the place of an older one" in again.stderr
    before = girl.read_bytes()
    third = cutout(girl, "-o", tmp_path / "out", "--report", girl)
    assert f"Report: {tmp_path / 'girl_2.png'}\n" in third.stderr
    assert girl.read_bytes() == before


def test_where_results_are_is_said(cutout, tmp_path, girl):
    drawing().save(tmp_path / "boy.png")
    out = tmp_path / "out"
    assert cutout(girl, "-o", out).stderr.endswith(f". Result: {out / 'girl.png'}\n")
    said = cutout(girl, tmp_path / "boy.png", "-o", out).stderr
    assert "2 done, 1 saved under a new number, as the name existed." in said
    assert said.endswith(f". Results: {out}\n")


def test_a_clip_in_a_folder_is_left_out_with_a_hint(cutout, girl):
    (girl.parent / "walk.mp4").write_bytes(b"a clip")
    shell = cutout(girl.parent, "-o", girl.parent / "out")
    assert "Not read, as they are no pictures: 1 (walk.mp4)." in shell.stderr
    assert "Clips are cut out by name: toonout cutout walk.mp4 -o walk.webp." in shell.stderr
