"""What stands on the terminal."""

import gc
from pathlib import Path

from toonout_core import cli
from toonout_core.cli.terminal import say, say_failure


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
