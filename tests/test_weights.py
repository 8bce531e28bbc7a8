"""The table of weights, and what is derived from it."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest

from tools.readme import BEGIN, END, TABLE_PAGE, weights_table, with_table
from toonout_core.models import ARCHITECTURES
from toonout_core.weight_files.locating import ASSETS
from toonout_core.weights import WEIGHTS, Weights, find
from toonout_core.words import PatchOrder, Task

ROOT = Path(__file__).parent.parent
BY_NAME = {row.name: row for row in WEIGHTS}


def each_row(function):
    return pytest.mark.parametrize("row", WEIGHTS, ids=[row.name for row in WEIGHTS])(function)


def test_names_and_files_are_unique():
    assert len(BY_NAME) == len(WEIGHTS)
    assert len({(row.repo, row.file) for row in WEIGHTS}) == len(WEIGHTS)
    hashes = [row.sha256 for row in WEIGHTS if row.sha256]
    assert len(set(hashes)) == len(hashes)


@each_row
def test_row_is_complete(row: Weights):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.name)
    assert row.task in get_args(Task)
    assert row.patch_order in get_args(PatchOrder)
    assert row.architecture in {architecture.id for architecture in ARCHITECTURES}
    assert row.purpose
    assert row.licence
    assert row.source
    assert row.file.endswith((".safetensors", ".pth", ".ckpt"))
    assert row.same_as in ("", *BY_NAME)
    assert find(row.name) is row


@each_row
def test_published_file_is_pinned_or_compared_with_the_hub(row: Weights):
    if row.embedded:
        content = (ASSETS / row.file).read_bytes()
        assert (row.revision, row.url, row.size_is_exact) == ("", "", True)
        assert (row.size_bytes, row.sha256) == (len(content), sha256(content).hexdigest())
        return
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.repo)
    assert re.fullmatch(r"[0-9a-f]{40}|main", row.revision)
    assert re.fullmatch(r"[0-9a-f]{64}|", row.sha256)
    assert 0 < row.size_bytes < 2_000_000_000
    assert row.sha256 or not row.size_is_exact
    assert row.revision != "main" or not row.sha256
    assert row.url == f"https://huggingface.co/{row.repo}/resolve/{row.revision}/{row.file}"


@each_row
def test_row_asks_what_its_architecture_can_do(row: Weights):
    architecture = next(a for a in ARCHITECTURES if a.id == row.architecture)
    assert all(side % architecture.multiple_of == 0 for side in row.input.size_hw)
    assert all(0 < deviation <= 1 for deviation in row.input.std)
    assert architecture.task == row.task


@pytest.mark.parametrize("name", ["isnet-anime", "anime-refiner"])
def test_file_of_a_row_and_file_without_one_are_fed_alike(name):
    row = BY_NAME[name]
    architecture = next(a for a in ARCHITECTURES if a.id == row.architecture)
    assert row.input == architecture.input


def test_embedded_weights_are_small_and_here():
    embedded = [row for row in WEIGHTS if row.embedded]
    assert [row.name for row in embedded] == ["toonout-mini"]
    path = ROOT / "toonout_core" / "assets" / embedded[0].file
    assert path.stat().st_size <= 12_000_000


def test_toonout_is_read_in_the_order_it_was_trained_in():
    """ComfyUI's own node does not; BiRefNet before November 2024 had the other one."""
    orders = {name: row.patch_order for name, row in BY_NAME.items()}
    assert orders["toonout"] == orders["toonout-safetensors"] == "channel_first"
    assert orders["birefnet-hr"] == orders["birefnet-dynamic"] == "channel_first"
    assert orders["birefnet-ep480"] == orders["birefnet-legacy"] == "channel_last"


def test_unknown_name_is_not_found():
    assert find("no such") is None


def test_the_page_holds_the_table():
    page = TABLE_PAGE.read_text("utf-8")
    assert page == with_table(page), "run: python tools/readme.py"


def test_the_table_has_a_line_for_each_row():
    table = weights_table()
    for row in WEIGHTS:
        assert f"`{row.name}`" in table
        assert row.licence in table
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(text) == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    with pytest.raises(ValueError, match="weights:begin"):
        with_table("no markers")
