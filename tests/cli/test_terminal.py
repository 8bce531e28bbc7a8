"""What stands on the terminal."""

from toonout_core.cli.terminal import say, say_failure


def test_names_of_files_cannot_steer_the_terminal(capsys):
    say("\x1b[2J\x07girl\r\x9b31m 猫\tx\nnext")
    assert capsys.readouterr().err == "\\x1b[2J\\x07girl\\r\\x9b31m 猫\tx\nnext\n"


def test_names_that_are_no_utf_8_are_shown(capsys):
    say_failure("girl \udcff.png", "girl \udcff.png must be a picture.")
    assert "girl \\udcff.png must be a picture." in capsys.readouterr().err
