"""The house stays small: how long files, functions and nodes may be, and how they are counted."""

from __future__ import annotations

from statistics import median

import pytest

from tools import house

PATHS = house.sources("toonout_core", *house.HOSTS)


def test_nodes_are_small():
    """What they do is done by the core, and what they hand over stands in two tables."""
    lines = [count for count, _ in house.node_classes()]
    assert len(lines) > 20
    assert median(lines) <= 45


def test_files_are_small():
    paths = [*PATHS, *house.sources("scripts", "tools")]
    assert [path.name for path in paths if house.lines_of(path) > 400] == []


def test_functions_are_small():
    assert [name for lines, name in house.functions(PATHS) if lines > 60] == []


def test_lines_are_counted_with_decorators(monkeypatch, tmp_path):
    monkeypatch.setattr(house, "ROOT", tmp_path)
    path = tmp_path / "a.py"
    path.write_text("@mark\n@other\ndef f():\n    def g():\n        pass\n\n    return g\n")
    assert house.functions([path]) == [(7, "a.py f"), (2, "a.py g")]
    assert house.lines_of(path) == 7


def test_a_class_is_a_node_by_its_schema(monkeypatch, tmp_path):
    folder = tmp_path / "comfy_nodes"
    folder.mkdir()
    (folder / "a.py").write_text(
        "class A:\n    def define_schema(cls):\n        pass\n\n\nclass B:\n    x = 1\n"
    )
    monkeypatch.setattr(house, "ROOT", tmp_path)
    assert house.node_classes() == [(3, "comfy_nodes/a.py A")]


def test_the_table_names_every_room(capsys):
    house.main()
    told = capsys.readouterr().out
    for name in ("toonout_core/ops", "comfy_nodes", "core", "hosts", "node classes: 2"):
        assert name in told


@pytest.mark.parametrize("sizes", [[(1, "a"), (3, "b")], [(2, "a"), (2, "b"), (9, "c")]])
def test_the_largest_is_named(sizes):
    assert house.told("files", sizes).endswith(f"largest {sizes[-1][0]} ({sizes[-1][1]})")
