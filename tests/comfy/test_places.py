"""What nodes may read and write, and what they do with pictures that are none; on a fake host."""

from __future__ import annotations

import os
import sys

import pytest
import torch
from PIL import Image

from tests.comfy.characters import at_places
from tests.comfy.fake_comfy import PACK
from tests.comfy.test_nodes import Threshold, error_class, folder, matte, save, squares, submodule

FOLDER = "ToonOut_LoadFolder"


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


@pytest.fixture
def outside(host):
    """A folder of the machine that is none of ComfyUI's."""
    path = host.models.parent.parent / "home"
    picture(path / "private.png")
    return path


# ---------------------------------------------------------------- Load Folder


def test_the_menu_has_the_folders_of_input_and_output(nodes, host, outside):
    picture(host.input / "film" / "a" / "1.png")
    picture(host.output / "toonout" / "1.png")
    picture(host.input / ".hidden" / "1.png")
    (host.input / "link").symlink_to(outside)
    host.folders["toonout_folders"] = ([str(outside)], set())
    (menu, *_) = nodes[FOLDER].define_schema().inputs
    assert menu.options == [
        ".", "film", "film/a", ". [output]", "toonout [output]", ". [home]",
    ]  # fmt: skip
    assert menu.default == menu.options[0]
    for name in menu.options:
        assert nodes[FOLDER].validate_inputs(name) is True
    assert folder(nodes, "toonout [output]", "*", False, 0, 0, True)[1] == ["1"]
    assert folder(nodes, ". [home]", "*", False, 0, 0, True)[1] == ["private"]


def test_two_further_folders_of_one_name(host, nodes):
    for parent in ("a", "b"):
        picture(host.models.parent / parent / "art" / f"{parent}.png")
    paths = [str(host.models.parent / parent / "art") for parent in ("a", "b")]
    host.folders["toonout_folders"] = (paths, set())
    assert folder(nodes, ". [art]", "*", False, 0, 0, True)[1] == ["a"]
    assert folder(nodes, ". [art 2]", "*", False, 0, 0, True)[1] == ["b"]


def test_older_graphs_go_on(nodes, host):
    picture(host.input / "film" / "1.png")
    picture(host.output / "film [new]" / "2.png")
    for name in ("", ".", "film", "film/", "./film", str(host.output / "film [new]")):
        assert nodes[FOLDER].validate_inputs(name) is True
    assert folder(nodes, str(host.output / "film [new]"), "*", False, 0, 0, True)[1] == ["2"]


NOWHERE = [
    "..", "../", "film/../..", "/", "/etc", "~", "~/x", "nowhere", "nowhere [output]",
    ".. [output]", "/ [output]", "a\0b", "x" * 5000, "x/" * 3000, "\ud800", "link", "link/deeper",
    "../home", ". [home]", "[output]x", "C:\\Windows", "\\\\server\\share",
]  # fmt: skip


def test_no_other_folder_is_read(nodes, host, outside):
    picture(outside / "deeper" / "1.png")
    (host.input / "link").symlink_to(outside)
    (host.input / "film").mkdir()
    for name in NOWHERE:
        answer = nodes[FOLDER].validate_inputs(name)
        assert isinstance(answer, str), name
        assert "ComfyUI's input or output folder" in answer
        assert answer.isprintable()
        with pytest.raises(error_class(nodes), match="toonout_folders"):  # a connected input
            folder(nodes, name, "*", True, 0, 0, True)


def test_links_in_a_folder_lead_nowhere_else(nodes, host, outside):
    picture(host.input / "film" / "mine.png")
    (host.input / "film" / "theirs.png").symlink_to(outside / "private.png")
    picture(host.output / "done" / "old.png")
    (host.input / "film" / "done").symlink_to(host.output / "done")
    assert folder(nodes, "film", "*", False, 0, 0, True)[1] == ["mine"]
    assert folder(nodes, "film", "*", True, 0, 0, True)[1] == ["done/old", "mine"]
    (host.output / "done" / "all").symlink_to("/")
    with pytest.raises(error_class(nodes), match="links in a folder must stay"):
        folder(nodes, "film", "*", True, 0, 0, True)


def test_nothing_is_walked_in_validation(nodes, host, monkeypatch):
    picture(host.input / "film" / "1.png")

    def walked(*_):
        pytest.fail("the folder was walked")

    for name in ("scandir", "walk", "listdir"):
        monkeypatch.setattr(os, name, walked)
    monkeypatch.setattr(submodule("reading"), "find_sources", walked)
    assert nodes[FOLDER].validate_inputs("film") is True


def test_the_menu_looks_at_so_many_files_and_no_more(nodes, host, monkeypatch):
    monkeypatch.setattr(submodule("places"), "_ENTRIES", 5)
    for number in range(9):
        (host.input / f"f{number}").mkdir()
    names = submodule("places").folder_names()
    assert 0 < len([name for name in names if name.startswith("f")]) <= 5


# ---------------------------------------------------------------- Save Cutout


BAD_NAMES = [
    "../out", "a/../../out", "/etc/out", "link/out", "link/deeper/out", "a\0b", "a\nb", "\x1b[2J",
    "\ud800", "x" * 300, "x" * 300 + "/a", "ab/" * 2000 + "a", "é" * 200,
]  # fmt: skip


def test_nothing_is_saved_outside_of_the_output_folder(nodes, host, outside):
    (host.output / "link").symlink_to(outside)
    before = sorted(host.models.parent.parent.rglob("*"))
    for name in BAD_NAMES:
        for prefix, names in ((name, None), ("x", name)):
            with pytest.raises(error_class(nodes)) as caught:
                save(nodes, squares(1, (8, 8)), prefix, names=names)
            assert str(caught.value).isprintable(), name
    assert sorted(host.models.parent.parent.rglob("*")) == before


def test_links_within_the_output_folder_are_used(nodes, host):
    (host.output / "new").mkdir()
    (host.output / "link").symlink_to(host.output / "new")
    save(nodes, squares(), "link/a")
    assert [path.name for path in (host.output / "new").iterdir()] == ["a_00001_.png"]


# ---------------------------------------------------------------- models


def test_a_connected_name_opens_no_file_of_the_machine(nodes, host, outside):
    from tests.comfy.luma import write_luma_model

    path = str(write_luma_model(outside / "luma.safetensors"))
    for name in (path, "../home/luma.safetensors", "a\0b"):
        with pytest.raises(error_class(nodes), match="There is no model"):
            at_places(nodes["ToonOut_LoadMatting"], name, False, "auto", "auto", 0)
        with pytest.raises(error_class(nodes), match="There is no model"):
            at_places(nodes["ToonOut_LoadSegmenter"], name, "none", False, "auto")
        with pytest.raises(error_class(nodes), match="There is no model"):
            at_places(nodes["ToonOut_LoadSegmenter"], "toonout-mini", name, False, "auto")


# ---------------------------------------------------------------- pictures and masks


def tensors_of(node):
    """Names of the inputs that take pictures or masks."""
    return [i.id for i in node.define_schema().inputs if i.io_type in ("IMAGE", "MASK")]


def broken(kind):
    image = squares(1, (8, 8))
    if kind == "NaN":
        image[0, 3, 3, 0] = float("nan")
    if kind == "infinity":
        image[0, 3, 3, :2] = torch.tensor([float("inf"), -float("inf")])
    return {
        "uint8": (image * 255).to(torch.uint8), "int64": image.long(), "no batch": image[:0],
        "no height": image[:, :0], "no width": image[:, :, :0],
    }.get(kind, image)  # fmt: skip


KINDS = ["NaN", "infinity", "uint8", "int64", "no height", "no width", "no batch"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_node_takes_a_picture_that_is_none(nodes, kind):
    """Every input of every node, one after another."""
    asked = 0
    for name, node in nodes.items():
        for wrong in tensors_of(node):
            if kind == "no batch" and node.takes_empty:
                continue
            parameters = {item.id: None for item in node.define_schema().inputs}
            value = broken(kind)
            listed = node.define_schema().is_input_list
            with pytest.raises(error_class(nodes), match=f"^{wrong} must h") as caught:
                node.execute(**parameters | {wrong: [value] if listed else value})
            assert str(caught.value).isprintable(), name
            asked += 1
    assert asked >= 25


def test_the_copies_that_comfyui_runs_look_too(nodes):
    """They have all that is in the class, and refuse every change to it."""

    class Locked(type):
        def __setattr__(cls, name, value):
            raise AttributeError(name)

    node = nodes["ToonOut_AdjustMatte"]
    content = {k: v for k, v in vars(node).items() if k not in ("__dict__", "__weakref__")}
    copy = Locked(f"{node.__name__}Clone", node.__bases__, content)
    with pytest.raises(error_class(nodes), match="mask must hold numbers"):
        copy.execute(broken("NaN")[..., 0], 0.0, 1.0, 1.0, 0.0, 0.0, 0, 0)


def test_no_frames_give_no_frames(nodes):
    for tensor in matte(nodes, Threshold(), squares(1, (8, 8))[:0]):
        assert len(tensor) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_large_sound_pictures_of_any_float_are_taken(host, nodes, dtype):
    check = submodule("batches").check_frames
    check("image", torch.ones(2, 300, 300, 3, dtype=dtype), takes_empty=False)
    check("mask", torch.ones(2, 3, dtype=torch.bool), takes_empty=False)
    assert sys.modules[PACK]
