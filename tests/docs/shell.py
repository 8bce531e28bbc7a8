"""Runs the lines of a shell block in this process, for the few programs that the pages use."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from toonout_core.cli import main

Command = list[str]
# options that only say how much: the pages show what a user would want, tests want little
LITTLE = {"--count": 3, "--scenes": 2, "--frames": 2}


def commands(text: str) -> list[Command]:
    """The words of every command, without remarks; `a && b` are two."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [shlex.split(re.sub(r"(^|\s)# .*", "", line)) for line in joined.splitlines()]
    found: list[Command] = []
    for words in lines:
        rest: Command = []
        for word in [*words, "&&"]:
            if word != "&&":
                rest.append(word)
            elif rest:
                found.append(rest)
                rest = []
    return found


def little(words: Command) -> Command:
    """The same command with less to do."""
    return [
        str(min(int(word), LITTLE[before])) if before in LITTLE else word
        for before, word in zip(["", *words], words, strict=False)
    ]


def run_block(text: str) -> None:
    """Every command of a block; AssertionError where one does not end with 0."""
    for words in commands(text):
        program, *arguments = little(words)
        assert program in PROGRAMS, f"no test can run {program}: say what the block needs"
        code = PROGRAMS[program](arguments)
        assert code == 0, f"{' '.join(words)} ended with {code}"


def _toonout(arguments: Command) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:
        return _code(stop)


def _python(arguments: Command) -> int:
    script, *rest = arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *rest])
        path = Path(script) if Path(script).is_file() else ROOT / script
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as stop:
            return _code(stop)
    return 0


def _code(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else 1 if stop.code else 0


def _cp(arguments: Command) -> int:
    *sources, target = [Path(word) for word in arguments if not word.startswith("-")]
    for source in sources:
        to = target / source.name if target.is_dir() else target
        shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)
    return 0


def _mkdir(arguments: Command) -> int:
    for word in arguments:
        if word != "-p":
            Path(word).mkdir(parents=True)
    return 0


def _cd(arguments: Command) -> int:
    os.chdir(arguments[0])
    return 0


PROGRAMS: dict[str, Callable[[Command], int]] = {
    "toonout": _toonout,
    "python": _python,
    "cp": _cp,
    "mkdir": _mkdir,
    "cd": _cd,
}
