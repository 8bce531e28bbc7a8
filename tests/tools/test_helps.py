"""The tables of options in docs are those of the shell and of the routes."""

from __future__ import annotations

from tools import helps
from toonout_core.cli import VERBS
from toonout_core.cli.parsing import Parser, add
from toonout_core.options.option import choice, switch, whole


def test_pages_are_as_the_options_say():
    """After changing an option: python tools/helps.py"""
    pages = dict(helps.docs_pages())
    assert [path.name for path, text in pages.items() if path.read_text("utf-8") != text] == []
    assert all(f"\n## toonout {verb}" in pages[helps.DOCS / "commands.md"] for verb in VERBS)


def test_everything_of_the_shell_is_explained():
    for parser in helps.commands():
        assert parser.description, parser.prog
        assert all(action.help for action in parser._actions), parser.prog


def test_a_command_is_a_table_of_each_group():
    parser = Parser(prog="toonout blur", description="Blur a picture.")
    parser.add_argument("path", metavar="PATH", help="a picture, or a pattern ('*.png')")
    add(parser, whole("side_px", 3, (1, 9), "How far, 5 % at most."))
    add(parser, choice("kind", "a", ("a", "bc"), "a: quick."), switch("x", True, "Y."), title="how")
    assert (
        helps.command(parser)
        == """\
## toonout blur

Blur a picture.

| option | meaning |
|---|---|
| `PATH` | a picture, or a pattern (`*.png`) |
| `--side N` | How far, 5 % at most. *(1 … 9, default: 3)* |

**how**

| option | meaning |
|---|---|
| `--kind` | `a`: quick. *(one of `a`, `bc`, default: a)* |
| `--x`, `--no-x` | Y. *(default: on)* |"""
    )


def test_check_names_old_pages_and_writes_none(monkeypatch, tmp_path, capsys):
    page = helps.ROOT / "docs" / "webui.md"
    monkeypatch.setattr(helps, "help_pages", lambda nodes: [])
    monkeypatch.setattr(helps, "node_classes", dict)
    monkeypatch.setattr(helps, "docs_pages", lambda: [(page, "other")])
    monkeypatch.setattr("sys.argv", ["helps.py", "--check"])
    before = page.read_text("utf-8")
    assert helps.main() == 1
    assert capsys.readouterr().out == "docs/webui.md\n"
    assert page.read_text("utf-8") == before
