"""The example workflows: complete, laid out for readers, and still fitting our nodes and core's."""

from __future__ import annotations

import copy
import itertools
import json
import math
import re

import pytest
from PIL import Image

from tests.comfy.graphs import (
    CORE,
    DECORATION,
    EXAMPLES,
    IMPACT,
    NAMES,
    example,
    ids_of,
    misfits,
    our_nodes,
    to_api,
)
from tools.layout import GAP_PX, bounds, heights_of, lay_out

NEWEST = max(CORE, key=lambda release: tuple(map(int, release.split("."))))
# seeds and the like: what the frontend may change after each run
AFTER_GENERATE = {"fixed", "increment", "decrement", "randomize"}


@pytest.mark.parametrize("release", list(CORE))
@pytest.mark.parametrize("name", NAMES)
def test_every_socket_and_widget_fits(nodes, name, release):
    prompt = to_api(example(name), CORE[release] | IMPACT | our_nodes(nodes))
    for node in prompt.values():
        if node["class_type"] in nodes:
            schema = nodes[node["class_type"]].define_schema()
            assert {item.id for item in schema.inputs if not item.optional} <= {*node["inputs"]}
            assert misfits(node["inputs"], nodes[node["class_type"]]) == []
    assert not ids_of(prompt, "InvertMask"), "white is the character everywhere"


def test_examples_find_characters_as_the_node_does_by_itself(nodes):
    """The shell and the WebUI find as many in the same picture."""
    schema = nodes["ToonOut_SegmentInstances"].define_schema()
    (usual,) = (item.default for item in schema.inputs if item.id == "min_area_percent")
    known = CORE[NEWEST] | IMPACT | our_nodes(nodes)
    prompts = [to_api(example(name), known) for name in NAMES]
    chosen = [
        prompt[key]["inputs"]["min_area_percent"]
        for prompt in prompts
        for key in ids_of(prompt, "ToonOut_SegmentInstances")
    ]
    assert len(chosen) >= 10
    assert set(chosen) == {usual}


@pytest.mark.parametrize(
    ("place", "value"), [(0, "0.3"), (0, 1.5), (1, 2.5), (2, "sideways"), (3, "True"), (3, 1)]
)
def test_a_planted_value_that_does_not_fit_is_seen(nodes, place, value):
    """min_score, max_count, sort_by and soft of Segment Characters."""
    graph = example("03 Redraw one character")
    (node,) = (node for node in graph["nodes"] if node["type"] == "ToonOut_SegmentInstances")
    node["widgets_values"][place] = value
    prompt = to_api(graph, CORE["0.25.0"] | IMPACT | our_nodes(nodes))
    inputs = prompt[str(node["id"])]["inputs"]
    assert len(misfits(inputs, nodes["ToonOut_SegmentInstances"])) == 1


def test_a_value_too_many_or_of_another_socket_is_seen(nodes):
    known = CORE["0.25.0"] | IMPACT | our_nodes(nodes)
    graph = example("05 New background")
    (node,) = (node for node in graph["nodes"] if node["type"] == "ToonOut_Compose")
    node["widgets_values"] += [False, "cover"]
    with pytest.raises(AssertionError, match="ToonOut_Compose"):
        to_api(graph, known)
    node["widgets_values"].pop()
    node["inputs"][0]["type"] = "MASK"
    with pytest.raises(AssertionError, match="ToonOut_Compose"):
        to_api(graph, known)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_fixed(name):
    for node in example(name)["nodes"]:
        chosen = AFTER_GENERATE & {
            value for value in node["widgets_values"] if isinstance(value, str)
        }
        assert chosen <= {"fixed"}


@pytest.mark.parametrize("name", NAMES)
def test_a_note_explains(name):
    graph = example(name)
    assert any(node["type"] in DECORATION for node in graph["nodes"])
    assert graph["groups"]


def test_nothing_overlaps_in_any_frontend(nodes):
    """Each node has the room that Nodes 2.0 and the classic canvas ever draw it in."""
    known = CORE[NEWEST] | IMPACT | our_nodes(nodes)
    for name in NAMES:
        graph = example(name)
        heights = heights_of(graph, known)
        for a, b in itertools.combinations(graph["nodes"], 2):
            rooms = bounds([a], heights), bounds([b], heights)
            assert apart(*rooms, 20, GAP_PX), f"{name}: {a['id']}, {b['id']}"


def apart(a, b, gap_x, gap_y):
    """Whether two boxes left, top, right, bottom have such gaps between them."""
    beside = a[2] + gap_x <= b[0] or b[2] + gap_x <= a[0]
    return beside or a[3] + gap_y <= b[1] or b[3] + gap_y <= a[1]


def test_boxes_that_touch_are_seen():
    assert apart((0, 0, 10, 10), (0, 60, 10, 70), 20, 50)
    assert not apart((0, 0, 10, 10), (5, 59, 15, 70), 20, 50)


def test_groups_fit_their_nodes_and_do_not_overlap(nodes):
    """As large as the nodes usually are. After a change: python tools/layout.py FILES"""
    known = CORE[NEWEST] | IMPACT | our_nodes(nodes)
    for name in NAMES:
        graph = example(name)
        fresh = copy.deepcopy(graph)
        lay_out(fresh, known)
        assert fresh == graph, f"{name} is not laid out"
        heights = heights_of(graph, known, usual=True)
        frames = [
            (x, y, x + width, y + height)
            for x, y, width, height in (group["bounding"] for group in graph["groups"])
        ]
        assert all(apart(a, b, 0, 0) for a, b in itertools.combinations(frames, 2)), name
        lowest = dict.fromkeys(frames, -math.inf)
        for node in graph["nodes"]:
            left, top, right, bottom = bounds([node], heights)
            around = [f for f in frames if f[0] <= left and right <= f[2]]
            around = [f for f in around if f[1] <= top and bottom <= f[3]]
            outside = node["type"] in DECORATION or node["pos"][0] == graph["nodes"][0]["pos"][0]
            assert len(around) == 1 or outside, f"{name}: {node['type']} stands across a frame"
            for frame in around:
                lowest[frame] = max(lowest[frame], bottom)
        assert all(20 <= frame[3] - bottom <= 60 for frame, bottom in lowest.items()), name


# they draw a picture, or take a folder or clip of the user's own
OWN = {"01c Text to image and cut out", "02 A whole folder", "05b Cut out a video"}
OWN |= {"10 Clip with transparency"}


@pytest.mark.parametrize("name", sorted({*NAMES} - OWN))
def test_pictures_come_along_and_the_note_says_how_to_take_ones_own(name):
    graph = example(name)
    kinds = [node["type"] for node in graph["nodes"]]
    assert "LoadImage" not in kinds, "its picture may be missing on a fresh ComfyUI"
    assert "ToonOut_ExamplePicture" in kinds
    (note,) = (node for node in graph["nodes"] if node["type"] in DECORATION)
    assert "### Your own picture\n" in note["widgets_values"][0]
    assert "Hold **Shift**" in note["widgets_values"][0]


@pytest.mark.parametrize("name", NAMES)
def test_the_note_is_called_read_me(name):
    notes = [node for node in example(name)["nodes"] if node["type"] in DECORATION]
    assert [note["title"] for note in notes] == ["Read me"]


@pytest.mark.parametrize("name", NAMES)
def test_the_note_is_dark_enough_for_grey_text_and_blue_code(name):
    """Nodes 2.0 writes text as light as #a0a0a0, and code in blue; WCAG asks for 4.5 to 1."""
    (note,) = (node for node in example(name)["nodes"] if node["type"] in DECORATION)
    assert (luminance("#a0a0a0") + 0.05) / (luminance(note["bgcolor"]) + 0.05) >= 4.5


def luminance(colour):
    """Relative, as WCAG 2 defines it."""
    levels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", NAMES)
def test_links_are_sound(name):
    graph = example(name)
    nodes = {node["id"]: node for node in graph["nodes"]}
    for number, source, out, target, into, kind in graph["links"]:
        assert nodes[source]["outputs"][out]["type"] == kind
        assert number in nodes[source]["outputs"][out]["links"]
        assert nodes[target]["inputs"][into] | {"link": number} == nodes[target]["inputs"][into]
    assert graph["last_link_id"] == max(link[0] for link in graph["links"])
    assert graph["last_node_id"] == max(nodes)


MODEL_FOLDERS = {"CheckpointLoaderSimple": "checkpoints", "ControlNetLoader": "controlnet"}


@pytest.mark.parametrize("name", NAMES)
def test_models_of_core_loaders_come_with_their_address(name):
    graph = example(name)
    text = "".join(
        node["widgets_values"][0] for node in graph["nodes"] if node["type"] in DECORATION
    )
    for node in graph["nodes"]:
        if folder := MODEL_FOLDERS.get(node["type"]):
            (model,) = node["properties"]["models"]
            assert model["name"] == node["widgets_values"][0]
            assert model["url"].startswith("https://huggingface.co/")
            assert model["url"].endswith(f"/resolve/main/{model['name']}")
            assert model["directory"] == folder
            if name != "01c Text to image and cut out":
                assert model["name"] in text
                assert f"`models/{folder}`" in text


INSTANCES = [name for name in NAMES if name.startswith(("03", "04"))]


def test_the_examples_of_instances():
    assert INSTANCES == [
        "03 Redraw one character",
        "03b Clean background",
        "04 New style with line art",
        "04b New style with the Impact Pack",
        "04c New style without ControlNet",
    ]


@pytest.mark.parametrize("release", list(CORE))
def test_style_editing_counts_steps_as_the_paper_does(nodes, release):
    """24 steps at strength 0.75 of the WebUI: the last 19 of a schedule of 24."""
    known = CORE[release] | IMPACT | our_nodes(nodes)
    listed = to_api(example("04 New style with line art"), known)
    (key,) = ids_of(listed, "KSamplerAdvanced")
    sampler = listed[key]["inputs"]
    assert (sampler["steps"], sampler["start_at_step"]) == (24, 5)
    assert (sampler["sampler_name"], sampler["scheduler"]) == ("dpmpp_2m", "karras")
    assert (sampler["add_noise"], sampler["return_with_leftover_noise"]) == ("enable", "disable")
    (key,) = ids_of(listed, "ControlNetApplyAdvanced")
    strength = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    assert strength.items() <= listed[key]["inputs"].items()
    (key,) = ids_of(listed, "ToonOut_CropInstances")
    assert listed[key]["inputs"]["background"] is True, "it is one more instance"

    segs = to_api(example("04b New style with the Impact Pack"), known)
    (key,) = ids_of(segs, "DetailerForEach")
    detailer = segs[key]["inputs"]
    total = math.floor(detailer["steps"] / detailer["denoise"])  # as the pack computes it
    assert (total, total - detailer["steps"]) == (24, 5)
    seeds = set(re.findall(r"\[SEP:(\d+)\]", detailer["wildcard"]))
    assert seeds == {str(detailer["seed"])} == {str(sampler["noise_seed"])}


def test_thumbnails_are_squares_of_one_size():
    for name in NAMES:
        with Image.open(EXAMPLES / f"{name}.jpg") as picture:
            assert (picture.format, picture.size) == ("JPEG", (512, 512)), name
        assert (EXAMPLES / f"{name}.jpg").stat().st_size < 200_000


def test_titles_are_words():
    """The template browser shows file names as they are."""
    assert [name for name in NAMES if "_" in name] == []


@pytest.mark.parametrize("release", list(CORE))
def test_the_graph_for_toonout_queue_fits(nodes, release):
    """In API format: every input that a node must have is there, and none that it has not."""
    graph = json.loads((EXAMPLES.parent / "examples" / "api" / "cutout.json").read_text("utf-8"))
    known = CORE[release] | our_nodes(nodes)
    for node in graph.values():
        inputs = known[node["class_type"]]["input"]
        taken = {**inputs.get("required", {}), **inputs.get("optional", {})}
        assert inputs["required"].keys() <= node["inputs"].keys() <= taken.keys()
        for name, value in node["inputs"].items():
            if isinstance(value, list):
                source = known[graph[value[0]]["class_type"]]
                assert source["output"][value[1]] == taken[name][0]
    assert ids_of(graph, "ToonOut_SaveCutout")
