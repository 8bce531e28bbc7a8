"""Every command that the texts show is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from toonout_core.cli import VERBS, build_parser

PARSER = build_parser()
ROOT = Path(__file__).parents[2]
TEXTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def commands(text):
    """Arguments after `toonout` of every line that begins with it, remarks left out."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in re.findall(r"^\s*toonout ([a-z].*)$", joined, re.MULTILINE):
        for part in line.split(" && ")[:1]:
            yield shlex.split(re.split(r"\s{2,}(?=[^-\s])|\s[#>]\s", part)[0])


def shown():
    for path in TEXTS:
        blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        yield from ((path.name, words) for block in blocks for words in commands(block))
    for name, module in VERBS.items():
        for key, text in vars(module).items():
            if key.endswith("EXAMPLES"):
                yield from ((name, words) for words in commands(text))


@pytest.mark.parametrize("where, words", list(shown()))
def test_a_command_that_is_shown_is_taken(where, words):
    try:
        PARSER.parse_args(words)
    except SystemExit as stop:
        assert stop.code == 0, f"{where}: toonout {' '.join(words)}"


def test_commands_are_found():
    assert len(list(shown())) > 60
