"""The record of options: the nodes' names and defaults, limits, infotexts."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from tests.options.tables import every
from tests.webui.fake_host import core, part

STORED = Path(__file__).resolve().parents[1] / "comfy" / "schema.json"


@pytest.fixture
def options(host):
    return core("serving.options")


def node_defaults():
    """Name → default of the widgets of the nodes that do the same."""
    schema = json.loads(STORED.read_text("utf-8"))
    nodes = ("ToonOut_LoadMatting", "ToonOut_Matte", "ToonOut_AdjustMatte")
    return {
        entry["id"]: entry["default"]
        for node in nodes
        for entry in schema[node]["inputs"]
        if entry["default"] is not None
    }


def test_names_and_defaults_are_those_of_the_nodes(options):
    ours = {option.name: option.default for option in fields(options.CutoutOptions)}
    # a still picture has one frame; ComfyUI's picker of colours begins with white
    without = {"frames_per_step", "steady", "colour"}
    theirs = {k: v for k, v in node_defaults().items() if k not in without}
    assert {name: ours[name] for name in theirs} == theirs


def test_pages_and_routes_state_no_limit_of_their_own(host, options):
    """Every component and every field of the API is an option of the tables."""
    widgets, bodies = part("widgets"), core("serving.bodies")
    table = list(every().values())
    for name, component in widgets.build(lambda name: name, background_picture=False).items():
        given = component.arguments
        (option,) = {o for o in table if (o.name, o.help) == (name, given["info"])}
        assert given["label"] == option.on_page
        assert name == "model" or component.value == option.default
        described = bodies.body_schema([name])["requestBody"]["content"]["application/json"]
        entry = described["schema"]["properties"][name]
        assert (entry["description"], entry["default"]) == (option.help, option.default)
        if option.kind in ("whole", "number"):
            assert (entry["minimum"], entry["maximum"]) == (option.least, option.most)


def test_absent_and_none_are_the_defaults(options):
    assert options.CutoutOptions.of({"fit": None}) == options.CutoutOptions()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("gamma", 99, "gamma must be 0.1 … 10, but got 99"),
        ("radius_px", 1.5, "radius_px must be a whole number"),
        ("radius_px", "many", "radius_px must be 1 … 1000"),
        ("radius_px", True, "radius_px must be 1 … 1000"),
        ("gamma", float("nan"), "gamma must be 0.1"),
        ("fit", "stretch", "fit must be one of auto, squash, pad"),
        ("crop", "yes", "crop must be true or false"),
        ("model", 3, "model must be a text"),
        ("nonsense", 1, "an option must be one of model"),
    ],
)
def test_wrong_values_are_sentences(options, name, value, sentence):
    with pytest.raises(Exception, match=sentence):
        options.CutoutOptions.of({name: value})


def test_the_black_point_is_below_the_white_point(options):
    with pytest.raises(Exception, match="black_point must be below white_point"):
        options.CutoutOptions.of({"black_point": 0.5, "white_point": 0.5})


def test_what_a_slider_gives_is_a_whole_number(options):
    assert options.CutoutOptions.of({"resolution": 512.0}).resolution == 512


def test_an_infotext_entry_has_no_comma_and_no_colon(options):
    chosen = options.CutoutOptions.of({"grow_px": -1.5, "background": "colour"})
    text = chosen.sentence()
    assert text == "model=toonout-mini; output=cutout; grow_px=-1.5; background=colour"
    assert not set(",:") & set(text)


def test_every_option_round_trips_through_an_infotext(options):
    generating = part("generating")
    values = {"clean_colours": False, "grow_px": -1.5, "fit": "pad", "resolution": 512}
    written = {generating.key(name): str(value) for name, value in values.items()}
    written[generating.KEEP] = generating.REPLACE
    chosen = options.CutoutOptions.of(values)
    for option in options.OPTIONS.values():
        assert generating.reader(option)(written) == getattr(chosen, option.name)
        assert generating.reader(option)({}) is None
