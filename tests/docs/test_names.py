"""Names of Python that the pages speak of can be imported as the pages say."""

from __future__ import annotations

import ast
import importlib
import re

import pytest

from tests.docs.pages import PAGES, blocks, inline_code

# no names of Python
FOREIGN = {"ToonOut", "BiRefNet", "ExecutionPolicy", "RemoteSigned"}


def imported(page, *, of_clones=True):
    """Name → module, by the imports of a page's blocks; `of_clones`: those of files to come too."""
    found = {}
    for block in blocks(page):
        if block.language == "python" and (of_clones or block.needs != "clone"):
            for node in ast.walk(ast.parse(block.text)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    found |= {item.name: node.module for item in node.names}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_imports_of_blocks_exist(page):
    for name, module in imported(page, of_clones=False).items():
        if module.split(".")[0] == "toonout_core":
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_classes_in_sentences_are_public_or_imported_on_the_page(page):
    """`AdjustOptions(...)` in a sentence says nothing to a reader who cannot import it."""
    import toonout_core

    known = {*toonout_core.__all__, *imported(page)}
    for code in inline_code(page):
        for name in re.findall(r"(?<![\w./])([A-Z][a-z]+(?:[A-Z][a-z]+)+)\b", code):
            assert name in known or name in FOREIGN, f"{page.name}: {code}"
