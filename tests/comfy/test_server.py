"""The pack inside a real ComfyUI, over HTTP: what users do, and what goes wrong for them.

COMFYUI_PATH=<checkout> COMFYUI_PYTHON=<its python> pytest tests/comfy
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.comfy.graphs import DECORATION, IMPACT, NAMES, example, ids_of, own_picture, to_api
from tests.comfy.test_pack import NODE_IDS

pytestmark = pytest.mark.comfy
pytest.importorskip("aiohttp")

from tests.comfy.server import BACK, BRIGHT, DARK, PACK, ROOT, ComfyError  # noqa: E402

LUMA = "luma.safetensors"
CORE_NODES = Path(__file__).parent / "core_nodes.json"


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def load(model=LUMA, resolution=64, **options):
    given = dict(allow_download=False, precision="auto", patch_order="auto")
    return node("ToonOut_LoadMatting", model=model, resolution=resolution, **(given | options))


def matte(model, image, **options):
    given = dict(
        resolution=0,
        fit="squash",
        clean_colours=True,
        radius_px=20,
        refine_radius_px=4,
        frames_per_step=1,
        source_alpha="multiply",
    )
    return node("ToonOut_Matte", model=model, image=image, **(given | options))


def clip(count, side=64, alpha=False):
    return node("Probe_Frames", count=count, side=side, alpha=alpha)


def preview(image):
    return node("PreviewImage", images=image)


def cut_out(count=1, **options):
    """load → (watch) → matte → preview of the cutout."""
    return {
        "1": load(),
        "2": node("Probe_Watch", model=["1", 0]),
        "3": clip(count),
        "4": matte(["2", 0], ["3", 0], **options),
        "5": preview(["4", 0]),
    }


def report(comfy):
    return comfy.get("/toonout_probe")


def pixels(picture):
    return np.asarray(picture).astype(int)


# ---------------------------------------------------------------- registration


def test_the_pack_is_registered(comfy):
    known = comfy.get("/object_info")
    assert set(NODE_IDS) <= set(known)
    assert "IMPORT FAILED" not in comfy.log()
    assert known["ToonOut_LoadMatting"]["output"] == ["BACKGROUND_REMOVAL"]


def test_help_translations_and_templates_are_served(comfy):
    for name in NODE_IDS:
        assert comfy.bytes(f"/extensions/{PACK}/docs/{name}.md").startswith(b"# ")
    assert "nodeDefs" in comfy.get("/i18n")["ja"]
    assert comfy.get("/i18n")["ja"]["nodeDefs"]["ToonOut_Matte"]["display_name"]
    assert set(NAMES) <= set(comfy.get("/api/workflow_templates")[PACK])


def test_blueprints_are_served_where_the_host_has_them(comfy):
    if comfy.version < (0, 4):
        pytest.skip("blueprints came later")
    served = comfy.get("/api/global_subgraphs").values()
    ours = {item["name"] for item in served if PACK in item["info"]["node_pack"]}
    assert ours == {path.stem for path in (ROOT / "subgraphs").iterdir()}


def test_files_for_the_shell_are_no_templates(comfy):
    assert comfy.get("/api/workflow_templates")[PACK].count("cutout") == 0
    assert set(comfy.get("/api/workflow_templates")[PACK]) == set(NAMES)


# ---------------------------------------------------------------- example workflows


def prepared(comfy, name):
    """An example with pictures and a model that are here."""
    prompt = to_api(example(name), comfy.get("/object_info"))
    for key in ids_of(prompt, "ToonOut_LoadMatting"):
        prompt[key]["inputs"] |= {"model": LUMA, "allow_download": False}
    for key in ids_of(
        prompt, "ToonOut_Matte"
    ):  # one without a loader gets one: its answer is known
        prompt[key]["inputs"].setdefault("model", ["luma", 0])
    prompt["luma"] = load(resolution=0)
    pictures = ("girl.png", "background.png")
    own_picture(prompt, *pictures[: len(ids_of(prompt, "ToonOut_ExamplePicture"))])
    for key in ids_of(prompt, "ToonOut_LoadFolder"):
        prompt[key]["inputs"]["folder"] = "characters"
    return prompt


def test_folder_batch(comfy):
    prompt = prepared(comfy, "02 A whole folder")
    run = comfy.run(prompt)
    (key,) = ids_of(prompt, "ToonOut_SaveCutout")
    files = [item["filename"] for item in run.outputs[key]["images"]]
    assert files == ["frame_1.png", "frame_2.png", "frame_10.png"]
    for picture, side in zip(comfy.pictures(run, key), (96, 64, 128), strict=True):
        assert (picture.mode, picture.size) == ("RGBA", (side, side))
        values = pixels(picture)
        assert values[side // 2, side // 2].tolist() == [BRIGHT] * 3 + [255]
        assert values[2, 2, 3] == 0
        assert abs(values[2, 2, 0] - DARK) > 20, "the old background lies under alpha 0"


def test_the_next_run_does_what_is_left(comfy):
    """After the one above everything has its result."""
    with pytest.raises(ComfyError, match=r"LoadFolder: .*All are done already"):
        comfy.run(prepared(comfy, "02 A whole folder"))


def test_three_nodes_make_a_cutout_without_a_loader(comfy):
    prompt = to_api(example("01 Cut out a picture"), comfy.get("/object_info"))
    run = comfy.run(own_picture(prompt, "girl.png"))
    (key,) = ids_of(prompt, "ToonOut_SaveCutout")
    (picture,) = comfy.pictures(run, key)
    assert (picture.mode, picture.size) == ("RGBA", (128, 96))
    (key,) = ids_of(prompt, "ToonOut_Matte")
    assert run.outputs[key]["images"], "the node shows its cutout"


def test_several_characters_run_as_they_are(comfy):
    prompt = to_api(example("01b Several characters"), comfy.get("/object_info"))
    run = comfy.run(prompt)
    (key,) = ids_of(prompt, "ToonOut_SaveCutout")
    pictures = comfy.pictures(run, key)
    assert len(pictures) >= 2
    assert all(picture.mode == "RGBA" for picture in pictures)


def test_replace_background(comfy):
    prompt = prepared(comfy, "05 New background")
    run = comfy.run(prompt)
    (key,) = ids_of(prompt, "SaveImage")
    (picture,) = comfy.pictures(run, key)
    values = pixels(picture)
    assert values.shape == (96, 128, 3)
    assert np.abs(values[50, 60] - BRIGHT).max() <= 1  # Save Image cuts off
    assert np.abs(values[4, 4] - BACK).max() <= 1


def test_compare_models(comfy):
    prompt = prepared(comfy, "07 Compare models")
    run = comfy.run(prompt)
    (key,) = ids_of(prompt, "SaveImage")
    (picture,) = comfy.pictures(run, key)
    for row in np.array_split(pixels(picture), 3):  # one for each model: a sheet of equal rows
        for colour in ((255, 0, 255), BRIGHT):
            share = (np.abs(row - colour).max(2) <= 2).mean()
            assert 0.02 < share < 0.5


def test_text_to_image_is_valid_up_to_its_checkpoint(comfy):
    prompt = prepared(comfy, "01c Text to image and cut out")
    with pytest.raises(ComfyError) as refused:
        comfy.run(prompt)
    errors = json.loads(str(refused.value))["node_errors"]
    found = {
        (errors[key]["class_type"], error["type"])
        for key in errors
        for error in errors[key]["errors"]
    }
    assert found == {("CheckpointLoaderSimple", "value_not_in_list")}


# ---------------------------------------------------------------- a running graph


def test_progress_and_previews(comfy):
    run = comfy.run(cut_out(2))
    assert run.progress["4"][-1] == (4, 4), "matting and colours, on one bar"
    # ComfyUI itself drops events that follow each other too fast
    run = comfy.run(cut_out(4, clean_colours=False, resolution=1024))
    assert {value for value, _ in run.progress["4"]} >= {1, 2, 3, 4}
    assert run.previews
    meta, picture = run.previews[-1]
    assert meta["node_id"] == "4"
    assert max(picture.size) <= 512


def test_stop_in_the_middle_of_a_batch(comfy):
    answered: list[int] = []

    def stop(value, _):
        if value >= 3 and not answered:
            comfy.post("/interrupt", {})
            answered.append(len(report(comfy)["frames"]))

    graph = cut_out(400, clean_colours=False, resolution=512)
    with pytest.raises(ComfyError, match="interrupted in ToonOut_Matte"):
        comfy.run(graph, on_progress=stop)
    done = len(report(comfy)["frames"])
    assert done <= answered[0] + 1, "stop waits for the step that is running, and no other"
    assert comfy.run(cut_out(2)).outputs["5"]["images"], "the next prompt works"


def test_second_run_is_cached(comfy):
    graph = cut_out(2, radius_px=33)
    comfy.run(graph)
    again = comfy.run(graph)
    assert again.executed == []
    assert set(again.cached) == set(graph)


def test_only_a_step_of_a_long_batch_is_on_the_device(comfy):
    before = report(comfy)
    comfy.run(cut_out(300, frames_per_step=3, clean_colours=False))
    after = report(comfy)
    # frames that are alike are remembered, and run once
    assert set(after["frames"][len(before["frames"]) :]) == {3}
    results_mib = 300 * 64 * 64 * 4 * (3 + 4 + 3 + 1 + 1) / 2**20
    assert after["peak_mib"] - before["peak_mib"] < 3 * results_mib + 100


def test_free_lets_the_model_go(comfy):
    comfy.run(cut_out(1, radius_px=44))
    held = report(comfy)
    assert held["alive"] >= 1
    assert "UNet" in held["loaded"]
    comfy.post("/free", {"unload_models": True, "free_memory": True})
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        freed = report(comfy)
        if freed["alive"] == 0:
            break
        time.sleep(0.5)
    assert freed["alive"] == 0
    assert "UNet" not in freed["loaded"]


def test_sizes_in_a_list_may_differ_and_alpha_is_exact(comfy):
    levels = np.array([0, 1, 64, 128, 254, 255], np.uint8)
    picture = np.repeat(levels[None, :, None], 4, 2).repeat(5, 0)
    folder = comfy.base / "input" / "levels"
    folder.mkdir(exist_ok=True)
    Image.fromarray(picture, "RGBA").save(folder / "levels.png")
    for format in ("png", "png 16 bit", "webp"):
        graph = {
            "1": node(
                "ToonOut_LoadFolder",
                folder="levels", pattern="*", recursive=False, start=0, limit=0, keep_alpha=True,
            ),
            "2": node(
                "ToonOut_SaveCutout",
                image=["1", 0], names=["1", 1], filename_prefix=f"levels/{format}/x",
                format=format, quality=100,
            ),
        }  # fmt: skip
        run = comfy.run(graph, extra={"extra_pnginfo": {"workflow": {"id": format}}})
        (item,) = run.outputs["2"]["images"]
        path = comfy.base / "output" / item["subfolder"] / item["filename"]
        with Image.open(path) as saved:
            assert pixels(saved.convert("RGBA"))[0, :, 3].tolist() == levels.tolist()
            stored = {**saved.info, **dict(enumerate(saved.getexif().values()))}
            assert any(f'"id": "{format}"' in str(value) for value in stored.values())


def test_transparent_input_stays_transparent(comfy):
    graph = cut_out(1)
    graph["3"] = clip(1, alpha=True)
    (picture,) = comfy.pictures(comfy.run(graph), "5")
    assert pixels(picture)[:, 0::6, 3].max() == 0


# ---------------------------------------------------------------- models


def test_models_of_extra_model_paths_are_listed_and_load(comfy):
    kind, options = comfy.get("/object_info/ToonOut_LoadMatting")["ToonOut_LoadMatting"]["input"][
        "required"
    ]["model"]
    names = kind if isinstance(kind, list) else options["options"]
    assert {"toonout-mini", "toonout", LUMA, "shared.pth"} <= set(names)
    graph = cut_out()
    graph["1"] = load("shared.pth")
    (picture,) = comfy.pictures(comfy.run(graph), "5")
    assert pixels(picture)[32, 16, 3] >= 254  # Preview Image cuts off, 254.9 becomes 254


def test_the_embedded_model_needs_no_network(comfy):
    example = ROOT / "toonout_core" / "assets" / "example.webp"
    with Image.open(example) as picture:
        picture.convert("RGB").save(comfy.base / "input" / "example.png")
        width, height = picture.size
    graph = cut_out()
    graph["1"] = load("toonout-mini", resolution=0)
    graph["3"] = node("LoadImage", image="example.png")
    (picture,) = comfy.pictures(comfy.run(graph), "5")
    assert picture.size == (width, height)
    alpha = pixels(picture)[..., 3]
    assert 0.05 < (alpha > 127).mean() < 0.95
    assert report(comfy)["connections"] == []


def test_a_missing_file_is_named_with_the_folders(comfy):
    graph = cut_out()
    graph["1"] = load("gone.safetensors")
    with pytest.raises(ComfyError) as refused:
        comfy.run(graph)
    (error,) = json.loads(str(refused.value))["node_errors"]["1"]["errors"]
    assert error["type"] == "custom_validation_failed"
    assert "gone.safetensors" in error["details"]
    assert str(comfy.base / "models" / "background_removal") in error["details"]
    assert str(comfy.base / "elsewhere" / "mattes") in error["details"]


def test_a_broken_file_is_a_sentence(comfy):
    graph = cut_out()
    graph["1"] = load("broken.safetensors")
    with pytest.raises(ComfyError, match=r"ToonOut_LoadMatting: .*broken\.safetensors"):
        comfy.run(graph)


def test_a_model_that_must_not_be_fetched_is_a_sentence_and_no_connection(comfy):
    graph = cut_out()
    graph["1"] = load("toonout", allow_download=False)
    with pytest.raises(ComfyError, match=r"ToonOut_LoadMatting: .*toonout"):
        comfy.run(graph)
    assert report(comfy)["connections"] == []


def test_error_classes_show_no_path(comfy):
    with pytest.raises(ComfyError) as caught:
        comfy.run(cut_out() | {"1": load("broken.safetensors")})
    assert caught.value.kind == "CorruptWeights"


def test_a_folder_that_is_none_is_one_error(comfy):
    graph = {
        "1": node(
            "ToonOut_LoadFolder", folder="no such", pattern="*", recursive=False, start=0, limit=0,
            keep_alpha=True,
        ),
        "2": preview(["1", 0]),
    }  # fmt: skip
    with pytest.raises(ComfyError) as refused:
        comfy.run(graph)
    (error,) = json.loads(str(refused.value))["node_errors"]["1"]["errors"]
    assert error["details"].startswith("folder - folder must be one in ComfyUI's input or output")


def test_graphs_of_other_packs_run_with_our_nodes(comfy):
    if comfy.version < (0, 14):
        pytest.skip("nodes are replaced since 0.14")
    assert (
        len({"RMBG", "BiRefNetRMBG", "GetMaskByBiRefNet"} & {*comfy.get("/node_replacements")}) == 3
    )
    graph = {
        "1": {
            "class_type": "LoadRembgByBiRefNetModel",
            "inputs": {"model": LUMA, "device": "AUTO", "use_weight": False, "dtype": "float32"},
            "_meta": {"title": "loader"},
        },
        "2": clip(1) | {"_meta": {"title": "frames"}},
        "3": {
            "class_type": "GetMaskByBiRefNet",
            "inputs": {
                "model": ["1", 0], "images": ["2", 0], "width": 64, "height": 64,
                "upscale_method": "bilinear", "mask_threshold": 0.0,
            },
            "_meta": {"title": "mask"},
        },
        "4": node("MaskToImage", mask=["3", 0]) | {"_meta": {"title": "picture"}},
        "5": preview(["4", 0]) | {"_meta": {"title": "look"}},
    }  # fmt: skip
    (picture,) = comfy.pictures(comfy.run(graph), "5")
    values = pixels(picture)
    assert values[32, 16].min() > 250
    assert values[4, 4].max() < 5


def test_cores_node_runs_our_model(comfy):
    if "RemoveBackground" not in comfy.get("/object_info"):
        pytest.skip("ComfyUI has its own node since 0.21")
    graph = {
        "1": load(),
        "2": clip(2),
        "3": node("RemoveBackground", bg_removal_model=["1", 0], image=["2", 0]),
        "4": node("MaskToImage", mask=["3", 0]),
        "5": preview(["4", 0]),
    }
    run = comfy.run(graph)
    assert run.progress["3"][-1] == (2, 2)
    first = pixels(comfy.pictures(run, "5")[0])
    assert first[32, 16].min() > 250
    assert first[4, 4].max() < 5


def test_wrong_batches_and_values_are_refused(comfy):
    graph = {
        "1": clip(2),
        "2": clip(3),
        "3": node(
            "ToonOut_Compose", foreground=["1", 0], mask=["2", 1], colour="white", fit="cover"
        ),
        "4": preview(["3", 0]),
    }
    with pytest.raises(ComfyError, match=r"ToonOut_Compose: .*equal length.*2 in foreground"):
        comfy.run(graph)
    graph = cut_out(resolution=99999)
    with pytest.raises(ComfyError, match="value_bigger_than_max"):
        comfy.run(graph)


def test_recorded_sockets_of_core_nodes(comfy):
    """core_nodes.json, which test_workflows.py believes, agrees with this release.

    To record another one: TOONOUT_STORE_CORE_NODES=1
    """
    release = ".".join(map(str, comfy.version))
    stored = json.loads(CORE_NODES.read_text("utf-8")) if CORE_NODES.is_file() else {}
    used = {node["type"] for name in NAMES for node in example(name)["nodes"]}
    used -= DECORATION | set(IMPACT)
    live = {name: sockets(comfy.get(f"/object_info/{name}")[name]) for name in sorted(used)}
    core = {name: info for name, info in live.items() if name not in NODE_IDS}
    if os.environ.get("TOONOUT_STORE_CORE_NODES"):
        stored[release] = core
        CORE_NODES.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    if release not in stored:
        pytest.skip(f"no record of ComfyUI {release}")
    assert {name: stored[release].get(name) for name in core} == core


def sockets(info):
    """The part of /object_info that graphs depend on; lists of choices are left out."""
    kept = ("control_after_generate", "image_upload", "video_upload", "forceInput")
    inputs = {
        group: {
            name: [
                "COMBO" if isinstance(kind, list) else kind,
                {key: True for key in kept if options and options[0].get(key)},
            ]
            for name, (kind, *options) in items.items()
        }
        for group, items in info["input"].items()
        if group != "hidden"
    }
    return {"input": inputs, "output": info["output"], "output_name": info["output_name"]}
