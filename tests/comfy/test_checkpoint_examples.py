"""The examples that need a checkpoint, run to their end in a real ComfyUI.

Checkpoints are random numbers in the shape of Stable Diffusion 1.5, so what is drawn is noise; the
counts of sampler runs, their steps and prompts, and every pixel outside of the masks are real.

With IMPACT_PACK_PATH=<folder of the Impact Pack>, 04b runs too.
"""

from __future__ import annotations

import os

import pytest

from tests.comfy.graphs import IMPACT, example, ids_of, own_picture, to_api

pytestmark = pytest.mark.comfy
pytest.importorskip("aiohttp")

from tests.comfy.crowds import crowd  # noqa: E402
from tests.comfy.server import write_random_checkpoints  # noqa: E402
from tests.comfy.test_server import LUMA, node, pixels, report  # noqa: E402

COUNT = 3
WIDTH, HEIGHT = 772, 259  # no multiples of 8
SMALL = (309, 104)  # the Detailer never shrinks a background
# drawn dolls without faces: who is who is measured elsewhere, here three shall be three
REGIONS = "toonout-mini-regions"
LINES = ["blue hair", "red hair", "green hair"]
NOTED = {"sigma", "latent_hw", "prompt", "control", "positives"}


@pytest.fixture(scope="module")
def studio(comfy):
    """The server with small random models, and a picture of three girls."""
    models = comfy.base / "models"
    checkpoints = models / "checkpoints"
    write_random_checkpoints(checkpoints, "tiny", "tiny-inpaint", "tiny-control")
    (models / "controlnet").mkdir(exist_ok=True)
    lines = "random-tiny-control.safetensors"
    (checkpoints / lines).rename(models / "controlnet" / lines)
    picture = crowd(COUNT, WIDTH, HEIGHT)
    picture.save(comfy.base / "input" / "girls.png")
    picture.resize(SMALL).save(comfy.base / "input" / "small.png")
    return comfy


def prepared(comfy, name):
    """An example with models and a picture that are here, small, and watched."""
    prompt = own_picture(to_api(example(name), IMPACT | comfy.get("/object_info")), "girls.png")
    (loader,) = ids_of(prompt, "CheckpointLoaderSimple")
    kind = "tiny-inpaint" if "INPAINT" in prompt[loader]["inputs"]["ckpt_name"] else "tiny"
    for item in prompt.values():
        for key, value in item["inputs"].items():
            if value == [loader, 0]:
                item["inputs"][key] = ["watch", 0]
    prompt["watch"] = node("Probe_WatchSampler", model=[loader, 0])
    changes = {
        "CheckpointLoaderSimple": {"ckpt_name": f"random-{kind}.safetensors"},
        "ControlNetLoader": {"control_net_name": "random-tiny-control.safetensors"},
        "ToonOut_LoadSegmenter": {"detector": REGIONS, "allow_download": False},
        "ToonOut_CropInstances": {"resolution": 64, "padding_px": 16},
    }
    for kind, values in changes.items():
        for key in ids_of(prompt, kind):
            prompt[key]["inputs"] |= values
    return prompt


def one(prompt, kind):
    (key,) = ids_of(prompt, kind)
    return key


def compared(prompt, after, mask, margin):
    """The graph with a look at what changed outside of the mask, grown by core's node."""
    return prompt | {
        "grown": node("GrowMask", mask=mask, expand=margin, tapered_corners=False),
        "compare": node(
            "Probe_Compare", before=[one(prompt, "LoadImage"), 0], after=after, mask=["grown", 0]
        ),
    }


def run(comfy, prompt):
    """What the samplers did, run by run, and the latest comparison if there was one."""
    before = report(comfy)
    finished = comfy.run(prompt, timeout_s=900)
    after = report(comfy)
    runs: list[list[dict]] = []
    for step in after["evaluations"][len(before["evaluations"]) :]:
        assert set(step) == NOTED
        if not runs or step["sigma"] > runs[-1][-1]["sigma"]:
            runs.append([])
        runs[-1].append(step)
    seen = after["compared"][len(before["compared"]) :]
    assert after["connections"] == before["connections"], "nothing is fetched"
    return finished, runs, seen[-1] if seen else None


def check_untouched(seen, share=0.2, size=(WIDTH, HEIGHT)):
    assert seen["sizes"] == [[1, size[1], size[0], 3]] * 2
    assert seen["black_px"] > share * size[0] * size[1]
    assert seen["black_changed_px"] == 0, "outside of the masks, bit for bit"
    assert seen["white_changed_px"] > 0.3 * seen["white_px"]


# ---------------------------------------------------------------- text to image


def test_text_to_image_runs_to_its_cutouts(studio):
    prompt = to_api(example("01c Text to image and cut out"), studio.get("/object_info"))
    changes = {
        "CheckpointLoaderSimple": {"ckpt_name": "random-tiny.safetensors"},
        "EmptyLatentImage": {"width": 128, "height": 192},
        "KSampler": {"steps": 2},
        "ToonOut_LoadMatting": {"model": LUMA, "allow_download": False},
    }
    for kind, values in changes.items():
        for key in ids_of(prompt, kind):
            prompt[key]["inputs"] |= values
    finished = studio.run(prompt, timeout_s=900)
    pictures = studio.pictures(finished, one(prompt, "ToonOut_SaveCutout"))
    assert [(picture.mode, picture.size) for picture in pictures] == [("RGBA", (128, 192))] * 2
    assert "workflow" not in pictures[0].info
    assert "KSampler" in pictures[0].info["prompt"]


# ---------------------------------------------------------------- inpainting


@pytest.mark.parametrize(("numbers", "expected"), [("0", 1), ("0-2", 3), ("2, 0", 2)])
def test_each_chosen_character_is_redrawn_by_a_run_of_its_own(studio, numbers, expected):
    prompt = prepared(studio, "03 Redraw one character")
    select = one(prompt, "ToonOut_SelectInstances")
    prompt[select]["inputs"]["numbers"] = numbers
    paste = [one(prompt, "ToonOut_PasteInstances"), 0]
    prompt = compared(prompt, paste, [select, 3], 10)
    finished, runs, seen = run(studio, prompt)
    assert [len(steps) for steps in runs] == [24] * expected
    assert all(side % 8 == 0 for steps in runs for side in steps[0]["latent_hw"])
    check_untouched(seen)
    pictures = studio.pictures(finished, one(prompt, "SaveImage"))
    assert [picture.size for picture in pictures] == [(WIDTH, HEIGHT)], "one picture"


def test_background_is_painted_where_characters_stood(studio):
    prompt = prepared(studio, "03b Clean background")
    segment = one(prompt, "ToonOut_SegmentInstances")
    prompt = compared(prompt, [one(prompt, "ToonOut_PasteInstances"), 0], [segment, 3], 26)
    finished, runs, seen = run(studio, prompt)
    assert [len(steps) for steps in runs] == [32], "all characters at once"
    check_untouched(seen, 0.05)
    pictures = studio.pictures(finished, one(prompt, "SaveImage"))
    assert [picture.size for picture in pictures] == [(WIDTH, HEIGHT)]


# ---------------------------------------------------------------- style editing


def styled(studio, background):
    prompt = prepared(studio, "04 New style with line art")
    prompt[one(prompt, "ToonOut_JoinPrompts")]["inputs"]["lines"] = "\n".join(LINES)
    prompt[one(prompt, "ToonOut_CropInstances")]["inputs"]["background"] = background
    paste = [one(prompt, "ToonOut_PasteInstances"), 0]
    return compared(prompt, paste, [one(prompt, "ToonOut_SegmentInstances"), 3], 10)


def check_runs(runs, expected):
    assert [len(steps) for steps in runs] == [19] * expected
    assert len({steps[0]["sigma"] for steps in runs}) == 1, "one schedule for all"
    assert all(step["control"] for steps in runs for step in steps)
    assert len({round(steps[0]["prompt"], 3) for steps in runs}) == expected, "own prompts"


def test_style_runs_once_per_character_and_once_for_the_background(studio):
    prompt = styled(studio, True)
    finished, runs, seen = run(studio, prompt)
    check_runs(runs, COUNT + 1)
    assert seen["black_changed_px"] > 0.9 * seen["black_px"]
    assert seen["white_changed_px"] > 0.9 * seen["white_px"]
    (picture,) = studio.pictures(finished, one(prompt, "SaveImage"))
    assert picture.size == (WIDTH, HEIGHT)
    assert len(studio.pictures(finished, ids_of(prompt, "PreviewImage")[-1])) == COUNT + 1


def test_style_of_the_characters_alone_leaves_the_rest(studio):
    _, runs, seen = run(studio, styled(studio, False))
    check_runs(runs, COUNT)
    check_untouched(seen)


def test_the_same_seed_gives_the_same_picture(studio):
    prompt = styled(studio, False)
    save = one(prompt, "SaveImage")
    (first,) = studio.pictures(run(studio, prompt)[0], save)
    studio.post("/free", {"unload_models": True, "free_memory": True})
    prompt[save]["inputs"]["filename_prefix"] = "again"
    (again,) = studio.pictures(run(studio, prompt)[0], save)
    assert (pixels(first) == pixels(again)).all()


def test_style_without_a_controlnet_has_its_own_steps(studio):
    prompt = prepared(studio, "04c New style without ControlNet")
    prompt[one(prompt, "ToonOut_JoinPrompts")]["inputs"]["lines"] = "\n".join(LINES)
    finished, runs, _ = run(studio, prompt)
    assert [len(steps) for steps in runs] == [13] * (COUNT + 1)
    assert not any(step["control"] for steps in runs for step in steps)
    assert len({round(steps[0]["prompt"], 3) for steps in runs}) == COUNT + 1, "own prompts"
    (picture,) = studio.pictures(finished, one(prompt, "SaveImage"))
    assert picture.size == (WIDTH, HEIGHT)


# ---------------------------------------------------------------- prompts per character


def test_one_sampler_takes_a_prompt_for_each_character(studio):
    prompt = prepared(studio, "08 Prompts per character")
    regional = one(prompt, "ToonOut_PromptCharacters")
    prompt[regional]["inputs"]["lines"] = "\n".join(LINES)
    save, scaled = one(prompt, "SaveImage"), one(prompt, "LoadImage")
    prompt[scaled]["inputs"]["image"] = "small.png"
    finished, runs, _ = run(studio, prompt)
    assert len(runs) == 1, "one sampler"
    for sigma in {step["sigma"] for step in runs[0]}:
        at_once = [step for step in runs[0] if step["sigma"] == sigma]
        assert sum(step["positives"] for step in at_once) == COUNT + 1
    (first,) = studio.pictures(finished, save)
    prompt[regional]["inputs"]["lines"] = "\n".join(["bald", *LINES[1:]])
    (other,) = studio.pictures(run(studio, prompt)[0], save)
    assert (pixels(first) != pixels(other)).any(), "her prompt takes part"


# ---------------------------------------------------------------- layers


def test_layers_become_a_psd(studio):
    psd_tools = pytest.importorskip("psd_tools")
    prompt = to_api(example("09 Layers to PSD"), studio.get("/object_info"))
    own_picture(prompt, "girls.png")
    for kind in ("ToonOut_LoadMatting", "ToonOut_LoadSegmenter"):
        prompt[one(prompt, kind)]["inputs"]["allow_download"] = False
    prompt[one(prompt, "ToonOut_LoadSegmenter")]["inputs"]["detector"] = REGIONS
    finished = studio.run(prompt, timeout_s=900)
    (shown,) = studio.pictures(finished, one(prompt, "ToonOut_SaveLayers"))
    assert shown.size == (WIDTH, HEIGHT)
    (path,) = (studio.base / "output" / "toonout").glob("layers*.psd")
    psd = psd_tools.PSDImage.open(path)
    assert psd.size == (WIDTH, HEIGHT)
    names = [layer.name for layer in psd]
    assert names[:2] == ["picture", "background"]
    assert len(names) == 2 + COUNT


# ---------------------------------------------------------------- SEGS


def test_segs_are_read_as_the_impact_pack_reads_them(studio):
    """By a node of another pack, which inverts what each SEG covers."""
    prompt = prepared(studio, "04b New style with the Impact Pack")
    wanted = ("LoadImage", "ToonOut_LoadSegmenter", "ToonOut_SegmentInstances")
    graph = {key: item for key, item in prompt.items() if item["class_type"] in wanted}
    key = ids_of(prompt, "ToonOut_InstancesToSEGS")[0]
    image = [one(graph, "LoadImage"), 0]
    graph |= {key: prompt[key], "segs": node("Probe_Segs", segs=[key, 0], image=image)}
    graph = compared(graph, ["segs", 0], [one(graph, "ToonOut_SegmentInstances"), 3], 0)
    _, _, seen = run(studio, graph)
    assert seen["black_changed_px"] == 0
    assert seen["white_changed_px"] > 0.98 * seen["white_px"]


def test_detailer_runs_once_per_seg_and_once_for_the_background(studio):
    if not os.environ.get("IMPACT_PACK_PATH"):
        pytest.skip("needs IMPACT_PACK_PATH, see docs/testing.md")
    prompt = prepared(studio, "04b New style with the Impact Pack")
    detailer = one(prompt, "DetailerForEach")
    prompt[detailer]["inputs"] |= {"guide_size": 64.0, "max_size": 128.0}
    prompt[one(prompt, "LoadImage")]["inputs"]["image"] = "small.png"
    finished, runs, _ = run(studio, prompt)
    check_runs(runs, COUNT + 1)
    (picture,) = studio.pictures(finished, one(prompt, "SaveImage"))
    assert picture.size == SMALL
    _, listed, _ = run(studio, styled(studio, False))
    assert runs[0][0]["sigma"] == pytest.approx(listed[0][0]["sigma"]), "the same 19 of 24 steps"

    apply = one(prompt, "ImpactControlNetApplyAdvancedSEGS")
    prompt[apply]["inputs"]["segs"] = [ids_of(prompt, "ToonOut_InstancesToSEGS")[0], 0]
    segment = one(prompt, "ToonOut_SegmentInstances")
    prompt = compared(prompt, [detailer, 0], [segment, 3], 12)
    _, runs, seen = run(studio, prompt)
    check_runs(runs, COUNT)
    check_untouched(seen, size=SMALL)
