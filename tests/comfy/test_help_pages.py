"""The tables of the nodes' help say what the nodes say."""

from __future__ import annotations

import re

import pytest

from tools import helps
from toonout_core.options.option import number

PAGE = """# Blur (ToonOut)

| input | meaning |
|---|---|
| **old** | Is not there any more. |

Words by hand.

| output | meaning |
|---|---|
"""
TITLES = ("Cut Out Character",)
# words with an underscore that tips name, and that are no input of their node
NAMES = {"frame_2", "frame_10", "frame_", "matte_4"}


def test_pages_are_as_the_nodes_say(nodes):
    """After changing an option or a node: python tools/helps.py"""
    pages = dict(helps.help_pages(nodes))
    assert set(pages) == set(helps.HELP.glob("*.md"))
    assert [path.name for path, text in pages.items() if path.read_text("utf-8") != text] == []


def test_a_changed_help_changes_the_table(nodes, monkeypatch):
    schema = nodes["ToonOut_AdjustMatte"].define_schema()
    before = helps.help_page(PAGE, schema, TITLES)
    gamma = next(item for item in schema.inputs if item.id == "gamma")
    other = number("gamma", 2.0, (1.0, 3.0, 0.5), "Fuller, as Cut Out Character has it.")
    gamma.tooltip, gamma.default = other.help, other.default
    monkeypatch.setattr(helps, "every", lambda: {"gamma": other})
    after = helps.help_page(PAGE, schema, TITLES)
    row = "| **gamma** | Fuller, as **Cut Out Character** has it. *(1 … 3, default: 2)* |"
    assert row in after
    assert row not in before
    assert "Words by hand." in after
    assert "**old**" not in after


def test_equal_names_and_texts_have_their_own_default(nodes):
    """`min_area_percent` is 1 where characters are found, 0.1 where masks are given."""
    for name, default in (("SegmentInstances", "1"), ("InstancesFromMasks", "0.1")):
        schema = nodes[f"ToonOut_{name}"].define_schema()
        rows = dict(helps.input_rows(schema, ()))
        assert rows["**min_area_percent**"].endswith(f"*(0 … 100, default: {default})*")


def test_no_tip_names_an_input_that_its_node_lacks(nodes):
    for name, node in nodes.items():
        schema = node.define_schema()
        inputs = {item.id for item in schema.inputs}
        for item in [*schema.inputs, *schema.outputs]:
            named = set(re.findall(r"\b[a-z]+_\w*\b", item.tooltip))
            assert named <= inputs | NAMES, f"{name}: {item.tooltip}"


def test_tables_fit_into_the_narrow_panel(nodes):
    """Two columns, and no word of more than 40 letters, for words are not broken."""
    rows = [
        row
        for name in nodes
        for row in (helps.HELP / f"{name}.md").read_text("utf-8").splitlines()
        if row.startswith("|")
    ]
    assert len(rows) > 300
    assert [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != 3] == []
    assert [word for row in rows for word in row.split() if len(word) > 40] == []


def test_a_page_without_the_table_is_refused():
    with pytest.raises(ValueError, match="first two lines"):
        helps.with_table("# Blur", helps.INPUTS, [])


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("one each: a mask. White = character.", "`one each`: a mask. **White = character**."),
        ("Files such as *.png, frame_*, …", "Files such as `*.png`, `frame_*`, …"),
        ("zoom, top-left and pan: as said", "`zoom`, `top-left` and `pan`: as said"),
        ("pan and toonout-mini, 50 % of it", "pan and `toonout-mini`, 50 % of it"),
        ("a colour ('#ff00ff', white) | none", "a colour (`#ff00ff`, white) \\| none"),
        (
            "as `toonout a_b` reads --mask-only",
            "as `toonout a_b` reads `--mask-only`",
        ),
    ],
)
def test_what_is_typed_is_code(text, marked):
    assert helps.marked(text, ("one each", "zoom", "pan", "top-left")) == marked
