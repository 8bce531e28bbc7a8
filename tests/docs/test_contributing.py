"""CONTRIBUTING can be followed as it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.clone import changed, steps, write
from tests.docs.pages import ROOT
from tests.docs.shell import commands
from tests.docs.test_blocks import write_measured

STEPS = steps()


def test_what_is_changed_stands_there():
    """Cheap enough for every run: else a renamed line would leave newcomers alone."""
    texts = {}
    for step in STEPS:
        if step.language == "diff":
            text = texts.get(step.file) or (ROOT / step.file).read_text("utf-8")
            texts[step.file] = changed(text, step.text)
    assert len(texts) > 4


def test_a_line_that_is_not_there_is_seen():
    assert changed("a\nb\n", " a\n+c\n") == "a\nc\nb\n"
    with pytest.raises(AssertionError, match="must stand there once"):
        changed("a\nb\n", " x\n+c\n")


@pytest.mark.slow
def test_everything_works_in_a_clone(tmp_path):
    clone = tmp_path / "toonout"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
    write_measured(clone)
    for step in STEPS:
        if step.file:
            write(step, clone)
        for words in () if step.file else commands(step.text):
            run(words, clone)


def run(words, clone):
    """A command in the clone, by the Python of this test."""
    environment = os.environ | {"PYTHONPATH": str(clone)}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    programs = {
        "python": [sys.executable],
        "toonout": [sys.executable, "-m", "toonout_core"],
    }
    command = [*programs.get(words[0], [words[0]]), *words[1:]]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
