"""The nodes that find and choose characters, run as ComfyUI runs them, on a fake host."""

from __future__ import annotations

import pytest
import torch

from tests.comfy.characters import (
    LEFT,
    MIDDLE,
    RIGHT,
    SIZE_HW,
    drawn,
    error_class,
    instances_of,
    masks_of,
    near,
    pack,
    rectangle,
)
from tests.comfy.fake_comfy import PACK, Interrupted
from tests.comfy.luma import write_luma_model
from tests.counting import count_work

# ---------------------------------------------------------------- Load Character Segmenter


def test_one_model_as_segmenter_and_for_the_matte_is_loaded_and_run_once(run, host, monkeypatch):
    work = count_work(monkeypatch, f"{PACK}.toonout_core")
    write_luma_model(host.models / "background_removal" / "luma.safetensors")
    segmenter = run("LoadSegmenter", detector="luma.safetensors")["segmenter"]
    model = run("LoadMatting", model="luma.safetensors")["model"]
    image = drawn(LEFT, RIGHT)
    found = run("SegmentInstances", segmenter=segmenter, image=image)
    for radius_px in (20, 90):
        cut = run("Matte", model=model, image=image, radius_px=radius_px)
    mattes = run(
        "InstanceMattes", image=image, mask=cut["mask (white = character)"],
        instances=found["instances"],
    )  # fmt: skip
    assert len(mattes["instances"][0]) == 2
    assert (work.loads, work.inferences) == (1, 1)


@pytest.mark.parametrize("detector", ["toonout-mini", "toonout-mini-regions"])
def test_what_the_loader_lists_first_is_loaded(run, host, detector):
    segmenter = run("LoadSegmenter", detector=detector, allow_download=False)["segmenter"]
    assert segmenter.pipeline.name.startswith("toonout-mini")


def test_loader_lists_what_needs_no_download_first(nodes, host):
    write_luma_model(host.models / "anime_instance" / "mine.safetensors")
    write_luma_model(host.models / "ultralytics" / "segm" / "theirs.pth")
    write_luma_model(host.models / "background_removal" / "matte.safetensors")
    detector, refiner = nodes["ToonOut_LoadSegmenter"].define_schema().inputs[:2]
    names = detector.options
    assert names[:3] == ["toonout-mini", "toonout-mini-regions", "anime-instances"]
    order = ["anime-instances", "mine.safetensors", "ultralytics/segm/theirs.pth", "toonout"]
    assert sorted(order, key=names.index) == order
    assert len(set(names)) == len(names)
    assert names[-1] == "matte.safetensors"
    assert refiner.options[:3] == ["auto", "none", "anime-refiner"]
    assert "isnet-anime" in refiner.options
    assert "mine.safetensors" in refiner.options


def test_downloads_of_detectors_go_to_their_own_folder(nodes, host):
    folders = pack("comfy_nodes.host").weight_dirs("anime_instance")
    assert folders[0] == host.models / "anime_instance"
    assert host.models / "background_removal" in folders
    assert pack("comfy_nodes.host").weight_dirs()[0] == host.models / "background_removal"


def test_missing_models_are_a_sentence_with_the_folders(nodes, host):
    check = nodes["ToonOut_LoadSegmenter"].validate_inputs
    assert check("anime-instances", "auto") is True
    assert check("toonout-mini", "none") is True
    assert check("toonout-mini-regions", "none") is True
    assert check(None, None) is True
    answer = check("toonout-mini", "gone.ckpt")
    assert "'gone.ckpt'" in answer
    assert str(host.models / "anime_instance") in answer


def test_a_changed_file_is_loaded_again(nodes, host):
    node = nodes["ToonOut_LoadSegmenter"]
    path = write_luma_model(host.models / "anime_instance" / "mine.safetensors")
    before = node.fingerprint_inputs(detector="toonout-mini", refiner="mine.safetensors")
    path.write_bytes(path.read_bytes() + b" ")
    after = node.fingerprint_inputs(detector="toonout-mini", refiner="mine.safetensors")
    assert before != after
    assert node.fingerprint_inputs(detector="toonout-mini", refiner="none") == "toonout-mini none"


def test_what_is_not_here_may_not_be_fetched(run):
    with pytest.raises(error_class(), match="anime-instances"):
        run("LoadSegmenter", detector="anime-instances", allow_download=False)


# ---------------------------------------------------------------- Segment Characters


def test_every_character_has_a_mask_of_its_own_from_left_to_right(three):
    assert three["count"] == 3
    assert three["masks"].shape == (3, *SIZE_HW)
    assert [tuple(mask.shape) for mask in three["mask list"]] == [(1, *SIZE_HW)] * 3
    assert torch.equal(torch.cat(three["mask list"]), three["masks"])
    assert ((three["masks"] - masks_of(LEFT, MIDDLE, RIGHT)).abs().mean((1, 2)) < 0.02).all()
    assert three["all"].shape == three["background"].shape == (1, *SIZE_HW)
    assert torch.allclose(three["all"] + three["background"], torch.ones(1, *SIZE_HW))
    assert three["preview"].shape == (1, *SIZE_HW, 3)
    (boxes,) = three["boxes"]
    assert near(
        [[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in boxes],
        [LEFT, MIDDLE, RIGHT],
    )
    assert all(0.5 < box["score"] <= 1 for box in boxes)


def test_the_report_says_where_they_come_from(three):
    lines = three["report"].splitlines()
    assert lines[0] == "model: luma"
    assert lines[1] == "3 characters, from: connected regions of the matte"
    assert lines[2].startswith("0: score ")


def test_other_orders_and_limits(run, segmenter):
    image = drawn(LEFT, MIDDLE, RIGHT)
    by_top = run("SegmentInstances", segmenter=segmenter, image=image, sort_by="top-bottom")
    assert [box["x"] // 10 for box in by_top["boxes"][0]] == [11, 1, 6]
    one = run("SegmentInstances", segmenter=segmenter, image=image, max_count=1)
    assert one["count"] == 1


def test_crumbs_are_left_out(run, segmenter):
    image = drawn(LEFT, (100, 5, 104, 9))
    few = run("SegmentInstances", segmenter=segmenter, image=image, min_area_percent=1.0)
    assert few["count"] == 1
    every = run("SegmentInstances", segmenter=segmenter, image=image, min_area_percent=0.0)
    assert every["count"] == 2


def test_hard_masks_are_black_and_white_and_edges_move(run, segmenter):
    image = drawn(LEFT)
    hard = run("SegmentInstances", segmenter=segmenter, image=image, soft=False)
    assert set(hard["masks"].unique().tolist()) == {0.0, 1.0}
    grown = run("SegmentInstances", segmenter=segmenter, image=image, soft=False, grow_px=5.0)
    assert grown["masks"].sum() > hard["masks"].sum()


def test_without_characters_graphs_run_on(run, segmenter):
    nothing = run("SegmentInstances", segmenter=segmenter, image=drawn())
    assert nothing["count"] == 0
    assert nothing["masks"].shape == (1, *SIZE_HW)
    assert nothing["masks"].max() == nothing["all"].max() == 0
    assert nothing["background"].min() == 1
    assert len(nothing["mask list"]) == 1
    assert nothing["boxes"] == [[]]
    assert "no characters" in nothing["report"]
    whole = run("SegmentInstances", segmenter=segmenter, image=drawn(), if_none="whole picture")
    assert whole["count"] == 1
    assert whole["masks"].min() == 1
    with pytest.raises(error_class(), match="there must be a character"):
        run("SegmentInstances", segmenter=segmenter, image=drawn(), if_none="error")


def test_batches_line_up_frame_by_frame(run, segmenter):
    image = torch.cat((drawn(LEFT, RIGHT), drawn(), drawn(MIDDLE)))
    out = run("SegmentInstances", segmenter=segmenter, image=image)
    assert out["count"] == 3
    assert [len(boxes) for boxes in out["boxes"]] == [2, 0, 1]
    assert out["all"].shape == (3, *SIZE_HW)
    assert out["all"][1].max() == 0
    assert out["preview"].shape == image.shape
    assert "picture 1:\nno characters" in out["report"]
    whole = run("SegmentInstances", segmenter=segmenter, image=image, if_none="whole picture")
    assert [len(boxes) for boxes in whole["boxes"]] == [2, 1, 1]


def test_transparent_pictures_are_seen_on_white(run, segmenter):
    image = torch.cat((drawn(LEFT), torch.ones(1, *SIZE_HW, 1)), -1)
    image[:, :, 100:, 3] = 0  # white for a model that takes light for a character
    out = run("SegmentInstances", segmenter=segmenter, image=image)
    assert out["count"] == 2
    assert out["preview"].shape == (1, *SIZE_HW, 3)


def test_stop_passes_unchanged(run, segmenter, host):
    host.progress.clear()
    host.interrupt_after = 1
    with pytest.raises(Interrupted):
        run("SegmentInstances", segmenter=segmenter, image=drawn(LEFT, frames=5))


def test_only_segmenters_fit_the_socket(run):
    with pytest.raises(error_class(), match="Load Character Segmenter"):
        run("SegmentInstances", segmenter="toonout", image=drawn())


# ---------------------------------------------------------------- prompts, masks


def test_boxes_points_and_masks_show_one_character_each(run, segmenter):
    out = run(
        "InstancesFromPrompts",
        segmenter=segmenter,
        image=drawn(LEFT, MIDDLE, RIGHT),
        box_lines="110, 10, 150, 70",
        point_lines="75, 60",
        masks=rectangle(LEFT)[None],
    )
    assert out["count"] == 3
    found = [[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in out["boxes"][0]]
    assert near(found, [RIGHT, MIDDLE, LEFT])
    assert "3 characters, from: box, point, mask" in out["report"]


def test_a_box_is_taken_as_it_is_at_an_overlap_of_1(run, segmenter):
    exact = ", ".join(map(str, LEFT))
    given = {"segmenter": segmenter, "image": drawn(LEFT), "box_lines": exact}
    found = run("InstancesFromPrompts", **given, min_overlap=0.5)
    assert found["boxes"][0][0]["score"] > 0
    found = run("InstancesFromPrompts", **given, min_overlap=1.0)
    assert found["boxes"][0][0]["score"] == 0


def test_boxes_of_core_nodes_fit(run, segmenter, three):
    out = run(
        "InstancesFromPrompts",
        segmenter=segmenter,
        image=drawn(LEFT, MIDDLE, RIGHT),
        boxes=three["boxes"],
    )
    assert out["count"] == 3
    assert ((out["masks"] - three["masks"]).abs().mean((1, 2)) < 0.02).all()


def test_a_frame_without_boxes_has_no_character(run, segmenter):
    box = {"x": 10, "y": 20, "width": 30, "height": 60}
    out = run(
        "InstancesFromPrompts", segmenter=segmenter, image=drawn(LEFT, frames=2), boxes=[[box], []]
    )
    assert [len(boxes) for boxes in out["boxes"]] == [1, 0]


def test_nothing_shown_is_a_sentence(run, segmenter):
    with pytest.raises(error_class(), match="a box, a point or a mask"):
        run("InstancesFromPrompts", segmenter=segmenter, image=drawn(LEFT))
    with pytest.raises(error_class(), match="image's size"):
        run(
            "InstancesFromPrompts",
            segmenter=segmenter,
            image=drawn(LEFT),
            masks=torch.ones(1, 64, 64),
        )
    nothing = torch.zeros(1, 64, 64)  # Load Image's mask of a picture without alpha
    with pytest.raises(error_class(), match="a box, a point or a mask"):
        run("InstancesFromPrompts", segmenter=segmenter, image=drawn(LEFT), masks=nothing)


def test_masks_become_characters_in_any_form(run):
    batch = run("InstancesFromMasks", masks=[masks_of(RIGHT, LEFT)])
    listed = run("InstancesFromMasks", masks=[rectangle(RIGHT), rectangle(LEFT)[None]])
    assert torch.equal(batch["masks"], listed["masks"])
    assert batch["count"] == 2
    assert batch["boxes"][0][0]["x"] == 110
    ordered = run("InstancesFromMasks", masks=[masks_of(RIGHT, LEFT)], sort_by="left-right")
    assert ordered["boxes"][0][0]["x"] == 10
    with pytest.raises(error_class(), match="one size, but got 64×64 and 160×96"):
        run("InstancesFromMasks", masks=[rectangle(LEFT), torch.zeros(1, 64, 64)])


def test_one_mask_is_taken_apart_and_crumbs_vanish(run):
    union = masks_of(LEFT, RIGHT, (100, 90, 102, 92)).amax(0)
    parts = run("InstancesFromMasks", masks=[union], split="connected regions")
    assert parts["count"] == 2
    assert torch.equal(parts["masks"], masks_of(LEFT, RIGHT)[[1, 0]]) or torch.equal(
        parts["masks"], masks_of(LEFT, RIGHT)
    )
    assert run("InstancesFromMasks", masks=[torch.zeros(1, *SIZE_HW)])["count"] == 0


# ---------------------------------------------------------------- Select Characters


def xs(out):
    return [box["x"] for box in out["boxes"][0]]


def test_characters_are_chosen_by_what_users_say(run):
    instances = instances_of(run, LEFT, MIDDLE, RIGHT)
    chosen = run("SelectInstances", instances=instances, numbers="2, 0")
    assert xs(chosen) == [110, 10]
    assert [len(found) for found in chosen["rest"]] == [1]
    assert xs(run("SelectInstances", instances=instances, points="75, 60")) == [60]
    assert xs(run("SelectInstances", instances=instances, inside=rectangle(LEFT)[None])) == [10]
    box = {"x": 105, "y": 5, "width": 50, "height": 70}
    assert xs(run("SelectInstances", instances=instances, boxes=[[box]])) == [110]
    every = run("SelectInstances", instances=instances, sort_by="left-right", reverse=True)
    assert xs(every) == [110, 60, 10]
    assert every["preview"].shape == (1, *SIZE_HW, 3)
    assert len(every["rest"][0]) == 0


def test_overlapping_masks_can_be_parted(run):
    instances = instances_of(run, (20, 20, 80, 80), (50, 20, 120, 80))
    parted = run("SelectInstances", instances=instances, numbers="1, 0", exclusive=True)
    assert parted["masks"].sum(0).max() == 1
    assert parted["masks"][0, 50, 65] == 1


def test_a_choice_of_nothing_does_not_break_graphs(run):
    instances = instances_of(run, LEFT)
    none = run("SelectInstances", instances=instances, min_score=0.0, max_area_percent=0.5)
    assert none["count"] == 0
    assert none["masks"].shape == (1, *SIZE_HW)
    with pytest.raises(error_class(), match="one of the 1 characters"):
        run("SelectInstances", instances=instances, numbers="3")


def test_sockets_refuse_what_is_not_theirs(run):
    with pytest.raises(error_class(), match="Characters from Masks"):
        run("SelectInstances", instances=masks_of(LEFT))


# ---------------------------------------------------------------- mattes, fusion


def test_mattes_of_characters_add_up_to_the_matte(run):
    left, right = (10, 20, 80, 80), (80, 20, 150, 80)
    matte = (rectangle(left) + rectangle(right))[None] * 0.8
    out = run(
        "InstanceMattes",
        image=drawn(left, right),
        mask=matte,
        instances=instances_of(run, left, right),
    )
    assert (out["masks"].sum(0) - matte[0]).abs().max() < 1 / 255
    assert torch.allclose(out["all"], matte, atol=1 / 255)  # no seam where they touch
    assert out["masks"][0, 40, 30] > 0.7 > 0.1 > out["masks"][1, 40, 30]


def test_a_matte_of_another_picture_is_a_sentence(run):
    with pytest.raises(error_class(), match="image's size 160×96"):
        run(
            "InstanceMattes",
            image=drawn(LEFT),
            mask=torch.zeros(1, 64, 64),
            instances=instances_of(run, LEFT),
        )


def test_one_picture_can_be_stopped_between_its_characters(run, host):
    given = {"image": drawn(LEFT, RIGHT), "mask": masks_of(LEFT, RIGHT).amax(0)[None]}
    instances = instances_of(run, LEFT, RIGHT)
    host.progress.clear()
    run("InstanceMattes", **given, instances=instances)
    assert host.progress == [(0.5, 1), (1, 1), (1, 1)]  # each a part of the one frame
    host.progress.clear()
    host.interrupt_after = 1
    with pytest.raises(Interrupted):
        run("InstanceMattes", **given, instances=instances)


def test_segments_give_rough_masks_their_outline(run):
    rough = (16, 26, 46, 86)  # shifted
    out = run(
        "FuseSegments",
        instances=instances_of(run, rough),
        segments=masks_of(LEFT, RIGHT),
        image=drawn(LEFT, RIGHT),
        erosions=0,
        dilations=0,
    )
    assert out["count"] == 1
    assert out["masks"][0][rectangle(LEFT) > 0].min() == 1
    assert out["masks"][0][rectangle(RIGHT) > 0].max() == 0


def test_fusion_without_segments_is_a_sentence(run):
    with pytest.raises(error_class(), match="there must be segments"):
        run("FuseSegments", instances=instances_of(run, LEFT), image=drawn(LEFT))


def test_segment_anything_is_not_asked_where_nobody_is(run):
    nobody = run("InstancesFromMasks", masks=[torch.zeros(1, *SIZE_HW)])["instances"]
    missing = {"image": drawn(), "segment_anything": "missing.pth"}
    assert run("FuseSegments", instances=nobody, **missing)["count"] == 0
    with pytest.raises(error_class(), match="must be a file in models/sams"):
        run("FuseSegments", instances=instances_of(run, LEFT), **missing)
