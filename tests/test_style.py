"""Sizes and names of the house plan: small files, small functions, no drawers for odds and ends."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("toonout_core", "comfy_nodes", "toonout_webui", "scripts", "tools")
FILES = [ROOT / "nodes.py", ROOT / "install.py", ROOT / "preload.py"]
FILES += sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
# read from top to bottom: a network's forward pass, the table of a node's sockets
EXEMPT = ("forward", "define_schema")
DRAWERS = {"util", "utils", "helper", "helpers", "misc", "common", "manager"}


def functions(path: Path) -> list[tuple[str, int]]:
    """(name, lines) of every function in a file."""
    return [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_small(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE
    long = [
        (name, lines)
        for name, lines in functions(path)
        if lines > LONGEST_FUNCTION and not name.startswith(EXEMPT)
    ]
    assert long == []


def test_functions_are_small_as_a_rule():
    assert median(lines for path in FILES for _, lines in functions(path)) <= 15


def test_nothing_is_named_after_a_drawer():
    parts = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    words = {word for part in parts for word in part.split("_")}
    assert not words & DRAWERS
