"""Blueprints: the insides of examples as one node each, with sound links."""

from __future__ import annotations

import json

import pytest

from tests.comfy.graphs import CORE, IMPACT, our_nodes, widget_names, widget_types
from tools.blueprints import BLUEPRINTS, FOLDER, INPUT, OUTPUT, blueprint

NAMES = [plan.name for plan in BLUEPRINTS]


def stored(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def known(nodes):
    newest = max(CORE, key=lambda release: tuple(map(int, release.split("."))))
    return CORE[newest] | IMPACT | our_nodes(nodes)


def test_files_are_what_the_examples_make(known):
    """After a change of an example: python tools/blueprints.py"""
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)
    assert len(NAMES) >= 5
    for plan in BLUEPRINTS:
        assert stored(plan.name) == blueprint(plan, known), plan.name


def test_inner_nodes_and_widgets_are_known(known):
    for name in NAMES:
        (inner,) = stored(name)["definitions"]["subgraphs"]
        for node in inner["nodes"]:
            info = known[node["type"]]
            assert len(node["widgets_values"]) <= len(widget_names(info))
            for socket in node["inputs"]:
                if "widget" in socket:
                    assert socket["type"] == widget_types(info)[socket["name"]]


def test_links_are_sound():
    for name in NAMES:
        whole = stored(name)
        (inner,) = whole["definitions"]["subgraphs"]
        nodes = {node["id"]: node for node in inner["nodes"]}
        for link in inner["links"]:
            number, kind = link["id"], link["type"]
            source, target = link["origin_id"], link["target_id"]
            if source == INPUT:
                side = inner["inputs"][link["origin_slot"]]
                assert number in side["linkIds"]
            else:
                side = nodes[source]["outputs"][link["origin_slot"]]
                assert number in side["links"]
            assert side["type"] == kind
            if target == OUTPUT:
                assert inner["outputs"][link["target_slot"]]["linkIds"] == [number]
            else:
                assert nodes[target]["inputs"][link["target_slot"]]["link"] == number
        used = {link["id"] for link in inner["links"]}
        for node in nodes.values():
            assert {s["link"] for s in node["inputs"]} - {None} <= used
            assert {n for s in node["outputs"] for n in s["links"]} <= used


def test_the_outer_node_shows_what_the_inner_graph_takes():
    for name in NAMES:
        whole = stored(name)
        (inner,) = whole["definitions"]["subgraphs"]
        (outer,) = whole["nodes"]
        assert outer["type"] == inner["id"]
        for mine, side in (("inputs", inner["inputs"]), ("outputs", inner["outputs"])):
            assert [(s["name"], s["type"]) for s in outer[mine]] == [
                (s["name"], s["type"]) for s in side
            ]
        ids = {str(node["id"]) for node in inner["nodes"]}
        assert {key for key, _ in outer["properties"]["proxyWidgets"]} <= ids
        assert inner["description"] and inner["category"]
