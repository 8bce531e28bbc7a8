"""What stands on the terminal."""

import gc
import io
from pathlib import Path

from toonout_core import LocalHost, cli
from toonout_core.cli import terminal
from toonout_core.cli.shell_host import ShellHost
from toonout_core.cli.terminal import ProgressBar, say, say_failure


def test_names_of_files_cannot_steer_the_terminal(capsys):
    say("\x1b[2J\x07girl\r\x9b31m 猫\tx\nnext")
    assert capsys.readouterr().err == "\\x1b[2J\\x07girl\\r\\x9b31m 猫\tx\nnext\n"


def test_names_that_are_no_utf_8_are_shown(capsys):
    say_failure("girl \udcff.png", "girl \udcff.png must be a picture.")
    assert "girl \\udcff.png must be a picture." in capsys.readouterr().err


def test_the_program_looks_for_cycles_seldom(monkeypatch):
    """What torch's import makes lives to the end; callers of `main` keep their own settings."""
    before, seen = gc.get_threshold(), []
    monkeypatch.setattr(cli, "main", lambda: seen.append(gc.get_threshold()) or 7)
    try:
        assert cli.entry() == 7
        assert seen[0] > before
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
    script = (Path(cli.__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'toonout = "toonout_core.cli:entry"' in script


class _Screen(io.StringIO):
    def isatty(self):
        return True


def on_screen(monkeypatch):
    screen = _Screen()
    monkeypatch.setattr(terminal.sys, "stderr", screen)
    return screen


def test_a_folder_has_one_bar_that_counts_files(monkeypatch):
    """What a picture takes is no second bar, and only long steps are told."""
    screen, host = on_screen(monkeypatch), ShellHost("cpu", [], quiet=False)
    with ProgressBar(3, "cutout") as bar:
        bar.describe("cutout")
        with host.progress(2, "matting") as step:
            step(2)
        bar.advance(text="MIKA\x1b__231.webp")
        with host.progress(40, "downloading (MB)") as step:
            step(20)
        bar.advance(text="a" * 90)
        bar.describe("")
    shown = screen.getvalue()
    assert "0/3 cutout" in shown
    assert "1/3 downloading (MB) 20/40" in shown
    assert f"2/3 {'a' * 39}…" in shown
    assert "matting" not in shown
    assert "\x1b__" not in shown
    assert terminal.open_bar() is None


def test_one_picture_shows_its_steps(monkeypatch):
    screen, host = on_screen(monkeypatch), ShellHost("cpu", [], quiet=False)
    with ProgressBar(1, "cutout"), host.progress(4, "detail") as step:
        step()
    assert "0/4 detail" in screen.getvalue()


def test_without_a_terminal_a_line_comes_now_and_then(capsys, monkeypatch):
    now = 100.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now)
    with ProgressBar(30, "cutout") as bar:
        for number in range(30):
            now += 2.0
            bar.advance(text=f"{number}.png")
    assert capsys.readouterr().err.splitlines() == [
        "8/30 7.png", "16/30 15.png", "24/30 23.png",
    ]  # fmt: skip
    with ProgressBar(30, "cutout", quiet=True) as bar:
        now += 100.0
        bar.advance()
    assert not capsys.readouterr().err


def test_a_script_that_uses_the_library_prints_no_bars(capsys, monkeypatch):
    with LocalHost("cpu", []).progress(9, "matting") as step:
        step(3)
    with LocalHost("cpu", [], quiet=False).progress(9, "matting") as step:  # no terminal
        step(3)
    assert not capsys.readouterr().err
    screen = on_screen(monkeypatch)
    with LocalHost("cpu", []).progress(9, "matting") as step:
        step(3)
    assert not screen.getvalue()
    with LocalHost("cpu", [], quiet=False).progress(9, "matting") as step:
        step(3)
    assert "matting" in screen.getvalue()
