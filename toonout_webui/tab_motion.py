"""One picture that moves: a camera goes through it, or its characters do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr

from ..toonout_core import BadInput, Cancelled, ToonOutError
from ..toonout_core.imaging import Picture, read
from ..toonout_core.motion.cards import Frame
from ..toonout_core.motion.ken_burns import ken_burns
from ..toonout_core.motion.options import KenBurnsOptions, PuppetOptions
from ..toonout_core.motion.puppet.bvh import read_bvh
from ..toonout_core.motion.puppet.pose_files import read_poses
from ..toonout_core.motion.puppet.stage import puppet_show
from ..toonout_core.ops.compositing import on_white
from ..toonout_core.options import characters as table
from ..toonout_core.options.option import options_of
from ..toonout_core.output.clip_formats import has_pyav
from ..toonout_core.output.destination import sentence_of
from ..toonout_core.output.films import require_film, write_film
from . import characters, hosts, previews, widgets
from .tab_characters import find
from .tab_folder import output_folder

KEN_BURNS, PUPPET = "ken_burns", "puppet"
FORMATS = ("mp4", "webm", "webp", "png")
_WAIT_SECONDS = 0.25  # between two looks at what is being made

_stop = threading.Event()

Told = tuple[str, str]  # status and preview


def elem_id(name: str) -> str:
    """Of a component of this tab."""
    return f"toonout_motion_{name}"


def formats() -> list[str]:
    """What can be written here: webm needs PyAV. png is a folder of frames."""
    return [name for name in FORMATS if name != "webm" or has_pyav()]


# ---------------------------------------------------------------- components


def build() -> None:
    """Make the components inside of the current tab, and connect them."""
    with gr.Row(equal_height=False):
        with gr.Column(variant="compact"):
            shared = _pictures()
            with gr.Tabs():
                with gr.TabItem("Ken Burns", elem_id=elem_id("tab_ken_burns")):
                    depth = _picture("Depth picture", "depth", "RGB")
                    camera = _widgets(KenBurnsOptions, KEN_BURNS)
                    start_camera = _start(KEN_BURNS)
                with gr.TabItem("Puppet", elem_id=elem_id("tab_puppet")):
                    puppet = _widgets(PuppetOptions, PUPPET)
                    alone = gr.Checkbox(
                        value=False, label="Characters alone", elem_id=elem_id("alone"),
                        info="Transparent around them, in webm, webp and png.",
                        elem_classes=["toonout-switch"],
                    )  # fmt: skip
                    driving = gr.Files(
                        label="Pose (.json of OpenPose) or motion (.bvh)", elem_id=elem_id("files")
                    )
                    start_puppet = _start(PUPPET)
            stop = gr.Button("Stop", elem_id=elem_id("stop"))
        with gr.Column(variant="compact"):
            status = gr.HTML(elem_id=elem_id("status"))
            preview = gr.HTML(elem_id=elem_id("preview"))

    def run_camera(*values: Any) -> Iterator[Told]:
        image, background, detector, model, kind, depth_picture, *chosen = values
        wish = dict(zip(camera, chosen, strict=True))
        plan = Plan(image, background, detector, model, kind)
        yield from work(plan, lambda found: _camera(plan, found, wish, depth_picture))

    def run_puppet(*values: Any) -> Iterator[Told]:
        image, background, detector, model, kind, is_alone, files, *chosen = values
        wish = dict(zip(puppet, chosen, strict=True))
        plan = Plan(image, background, detector, model, kind)
        yield from work(plan, lambda found: _puppet(plan, found, wish, is_alone, files))

    shown = [status, preview]
    start_camera.click(run_camera, [*shared, depth, *camera.values()], shown)
    start_puppet.click(run_puppet, [*shared, alone, driving, *puppet.values()], shown)
    stop.click(_stop.set, [], [], queue=False)


def _pictures() -> list[Any]:
    """Source, background, detector, model, format."""
    with gr.Row():
        source = _picture("Picture", "source", "RGBA")
        background = _picture("Background without characters", "background", "RGB")
    with gr.Row():
        detector = gr.Dropdown(
            choices=characters.detector_names(), value=characters.DEFAULT_DETECTOR,
            label="Detector", elem_id=elem_id("detector"),
        )  # fmt: skip
        model = widgets.edge_model(elem_id("model"))
        kind = gr.Dropdown(
            choices=formats(), value="mp4", label="Format", elem_id=elem_id("format")
        )
    return [source, background, detector, model, kind]


def _picture(label: str, name: str, mode: str) -> Any:
    return hosts.image(
        label=label, type="pil", image_mode=mode, interactive=True, height=300,
        elem_id=elem_id(name),
    )  # fmt: skip


def _start(kind: str) -> Any:
    return gr.Button("Make the clip", variant="primary", elem_id=elem_id(f"start_{kind}"))


def _widgets(record: type[Any], kind: str) -> dict[str, Any]:
    """Name → component, in the record's order; what is seldom needed is folded away."""
    made: dict[str, Any] = {}
    for advanced in (False, True):
        frame = gr.Accordion("More", open=False) if advanced else gr.Column()
        with frame:
            for option in options_of(record):
                if option.advanced == advanced:
                    made[option.name] = widgets.component(option, elem_id(f"{kind}_{option.name}"))
    return {option.name: made[option.name] for option in options_of(record)}


# ---------------------------------------------------------------- work


@dataclass(frozen=True)
class Plan:
    """What both kinds of clips begin with: pictures as PIL, names, the kind of file."""

    image: Any
    background: Any
    detector: str
    model: str
    kind: str


@dataclass(frozen=True)
class Film:
    """What will be written: made one frame at a time."""

    name: str
    frames: Iterable[Frame]
    count: int
    rate: float
    transparent: bool
    notes: tuple[str, ...] = ()


def work(plan: Plan, make: Callable[[characters.Found], Film]) -> Iterator[Told]:
    """Status lines and the frame that was made last, while a clip is made."""
    _stop.clear()
    try:
        if plan.kind not in formats():
            raise BadInput(f"format must be one of {', '.join(formats())}", repr(plan.kind))
        found = find(plan.image, plan.detector, plan.model, table.MIN_SCORE.default)
        film = make(found)
        ending = "" if plan.kind == "png" else f".{plan.kind}"
        path = output_folder("") / f"{film.name}-{datetime.now():%Y%m%d-%H%M%S}{ending}"
        require_film(path, transparent=film.transparent)
        yield from _writing(path, film)
    except (ToonOutError, OSError) as error:
        yield previews.sentence(sentence_of(error), "bad"), ""


def _writing(path: Path, film: Film) -> Iterator[Told]:
    """The file is written beside, so that the page hears of it meanwhile."""
    done = 0
    last: Any = None

    def shown() -> Iterator[Any]:
        nonlocal done, last
        for frame in film.frames:
            if _stop.is_set():
                raise Cancelled(f"Stopped after {done} frames, nothing is kept.")
            yield frame.image, frame.alpha if film.transparent else None
            done, last = done + 1, frame.image

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(write_film, path, shown(), film.rate)
        try:
            while not wait([running], _WAIT_SECONDS).done:
                seen = "" if last is None else previews.picture(last)
                yield previews.sentence(f"{done}/{film.count}"), seen
            result = running.result()
        finally:
            _stop.set()  # who leaves the page stops it
    lines = [f"{film.count} frames: {result}", *film.notes]
    seen = "" if last is None else previews.picture(last)
    yield previews.sentence("\n".join(lines), "good"), seen


def _camera(plan: Plan, found: characters.Found, wish: dict[str, Any], depth: Any) -> Film:
    options = KenBurnsOptions(**_given(KenBurnsOptions, wish))
    parts = _parts(found)
    frames = ken_burns(
        *parts, options,
        depth=None if depth is None else read(depth).image,
        plate=_plate(plan, found),
    )  # fmt: skip
    transparent = options.edges == "transparent"
    return Film("kenburns", frames, options.frames, options.fps, transparent)


def _puppet(
    plan: Plan, found: characters.Found, wish: dict[str, Any], alone: bool, files: Any
) -> Film:
    options = PuppetOptions(**_given(PuppetOptions, wish))
    poses, sequence = None, None
    for upload in files or ():
        name, path = hosts.file_name(upload), Path(upload.name)
        if name.lower().endswith(".bvh"):
            sequence = read_bvh(path)
        else:
            poses = read_poses(path)
    show = puppet_show(
        *_parts(found), options,
        plate=_plate(plan, found), transparent=alone, poses=poses, sequence=sequence,
    )  # fmt: skip
    return Film("puppet", show.frames, show.count, options.fps, alone, show.notes)


def _given(record: type[Any], wish: dict[str, Any]) -> dict[str, Any]:
    """In their types: sliders give whole numbers as fractions, empty fields give nothing."""
    checks = {option.name: option.check for option in options_of(record)}
    return {name: checks[name](value) for name, value in wish.items() if value is not None}


def _parts(found: characters.Found) -> tuple[Any, Any, Any]:
    """Picture, mattes, colours."""
    image = on_white(found.picture.image, found.picture.alpha)
    colours = found.characters.colours
    return image, found.instances, image if colours is None else colours


def _plate(plan: Plan, found: characters.Found) -> Any:
    if plan.background is None:
        return None
    picture: Picture = read(plan.background)
    if picture.size_hw != found.picture.size_hw:
        height, width = found.picture.size_hw
        raise BadInput(
            f"the background must have the picture's size {width}×{height}",
            f"{picture.size_hw[1]}×{picture.size_hw[0]}",
        )
    return picture.image
