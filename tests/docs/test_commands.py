"""Commands and options that the texts show exist, also where nothing can be run."""

from __future__ import annotations

import argparse
import re
from itertools import takewhile

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, inline_code
from tests.docs.shell import commands
from toonout_core.cli import VERBS, build_parser, verb_module

PARSER = build_parser()
# of programs that are not ours, in words of the pages
FOREIGN = {
    "--api", "--api-auth", "--nowebui", "--data-dir", "--disable-metadata", "--gradio-auth",
    "--auth", "--nproc-per-node", "--toonout-models-path", "--ignore-scripts",
    "--weights", "--weights-dir", "--gpu", "--slow",
}  # fmt: skip


def toonout_commands(text):
    """Arguments of `toonout`, also where torchrun starts it."""
    for words in commands(text):
        own = list(takewhile(lambda word: word not in (">", "|"), words))
        if own[:1] == ["toonout"]:
            yield own[1:]
        elif "toonout_core" in own:
            yield own[own.index("toonout_core") + 1 :]


def shown():
    for page in PAGES:
        for block in blocks(page):
            if block.language == "sh":
                yield from ((block.place, words) for words in toonout_commands(block.text))
    for name in VERBS:
        for key, text in vars(verb_module(name)).items():
            if key.endswith("EXAMPLES"):
                lines = re.findall(r"^  (toonout [a-z].*(?:\\\n.*)*)", text, re.MULTILINE)
                # in the help a remark stands apart without a sign
                plain = (re.split(r"\s{3,}(?=\S)", line)[0] for line in lines)
                for line in plain:
                    yield from ((name, words) for words in toonout_commands(line))


@pytest.mark.parametrize("where, words", list(shown()))
def test_a_command_that_is_shown_is_taken(where, words):
    try:
        PARSER.parse_args(words)
    except SystemExit as stop:
        assert stop.code == 0, f"{where}: toonout {' '.join(words)}"


def test_commands_are_found():
    assert len(list(shown())) > 60


def actions(parser=PARSER):
    """Of every verb, and of the verbs below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from actions(below)


def options():
    """Option → what it may be, where that is a choice in all verbs that have it."""
    found: dict[str, set[str] | None] = {}
    for action in actions():
        for name in action.option_strings:
            choices = None if action.choices is None else set(map(str, action.choices))
            known = found.get(name, set())
            found[name] = None if choices is None or known is None else known | choices
    return found


OPTIONS = options()
OF_TOOLS = {
    name
    for path in (ROOT / "tools").glob("*.py")
    for name in re.findall(r'"(--[a-z][a-z-]*)"', path.read_text("utf-8"))
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_sentences_exist(page):
    for code in inline_code(page):
        for name, value in re.findall(r"(?<!\S)(--[a-z][a-z0-9-]*)(?: ([\w.-]+))?", code):
            base = name.replace("--no-", "--", 1)
            assert {name, base} & {*OPTIONS, *OF_TOOLS, *FOREIGN}, f"{page.name}: {code}"
            choices = OPTIONS.get(name)
            assert not (value and choices) or value in choices, f"{page.name}: {code}"


def test_a_planted_option_is_seen():
    assert "--area" not in OPTIONS
    assert OPTIONS["--trust"] == {"auto", "masks", "matte"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tools_that_are_shown_take_their_options(page):
    for block in blocks(page):
        for words in commands(block.text) if block.language == "sh" else ():
            for script in (word for word in words[:2] if re.match(r"(tools|tests)/.*\.py", word)):
                text = (ROOT / script).read_text("utf-8")
                for option in (word for word in words if word.startswith("--")):
                    assert f'"{option}"' in text, f"{block.place}: {option}"
