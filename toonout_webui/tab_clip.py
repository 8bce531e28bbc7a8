"""A clip, frame by frame: to a folder of PNG, to WebM with alpha, or to mp4 on a background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from torch import Tensor

from ..toonout_core import BadInput, Cancelled, ToonOutError
from ..toonout_core.options.cutout import STEADY
from ..toonout_core.output.clip_formats import CLIP_FORMATS, has_pyav, writable_formats
from ..toonout_core.output.clip_writers import ClipWriter, clip_writer
from ..toonout_core.output.clips import pictures_of, timing
from ..toonout_core.output.destination import sentence_of
from ..toonout_core.output.publishing import partial_file, publish_numbered
from ..toonout_core.output.writing import write
from ..toonout_core.serving.options import CutoutOptions
from ..toonout_core.steadying import Steady
from . import hosts, previews, widgets
from .cutting import Cut, cut, wish
from .tab_folder import output_folder

HINTS = (
    "png: a folder of frames.",
    "mp4: needs a background.",
    "webp, apng: animated pictures, without sound.",
)
WITH_AV = "webm, mov, mkv: keep transparency and sound."
WITHOUT_AV = "For webm, mov, mkv and sound, install the package av for the host's Python."

_stop = threading.Event()


def elem_id(name: str) -> str:
    """Of a component of this tab."""
    return f"toonout_clip_{name}"


def formats() -> list[str]:
    """What can be written here: most kinds of clips need PyAV."""
    return ["png", *writable_formats()]


def build() -> None:
    """Make the components inside of the current tab, and connect them."""
    with gr.Row(equal_height=False):
        with gr.Column(variant="compact"):
            clips = gr.Files(label="Clips", elem_id=elem_id("files"))
            with gr.Row():
                kind = gr.Dropdown(
                    choices=formats(), value="png", label="Format", elem_id=elem_id("format")
                )
                start = gr.Button("Start", variant="primary", elem_id=elem_id("start"))
                stop = gr.Button("Stop", elem_id=elem_id("stop"))
            gr.HTML(previews.sentence("\n".join(hints())))
            steady = widgets.component(STEADY, elem_id("steady"))
            options = widgets.build(elem_id)
        with gr.Column(variant="compact"):
            status = gr.HTML(elem_id=elem_id("status"))
    names = list(options)

    def run(files: list[Any] | None, kind: str, steady: bool, *values: Any) -> Iterator[str]:
        yield from work(files, kind, dict(zip(names, values, strict=True)), steady=steady)

    start.click(run, [clips, kind, steady, *options.values()], [status])
    stop.click(_stop.set, [], [], queue=False)


def hints() -> list[str]:
    """What to know about the formats; lines by themselves, as hosts translate them."""
    return [*HINTS, WITH_AV if has_pyav() else WITHOUT_AV]


def work(
    files: list[Any] | None, kind: str, values: dict[str, Any], *, steady: bool
) -> Iterator[str]:
    """Status lines while frames are cut out."""
    _stop.clear()
    done: list[str] = []
    try:
        chosen, background = widgets.split(values)
        options = wish(chosen)
        require_possible(files, kind, options, background)
        for upload in files or ():
            name, path = Path(hosts.file_name(upload)).stem, Path(upload.name)
            told = ""
            before = Steady() if steady else None
            for told in one(name, path, kind, options, background, before):
                yield previews.sentence("\n".join([*done, told]))
            done.append(told)
            if _stop.is_set():
                break
        yield previews.sentence("\n".join(done), "good")
    except (ToonOutError, OSError) as error:
        yield previews.sentence("\n".join([*done, sentence_of(error)]), "bad")


def require_possible(
    files: list[Any] | None, kind: str, options: CutoutOptions, background: Any
) -> None:
    """Raises BadInput before anything is computed."""
    if not files:
        raise BadInput("there must be a clip", "none", "Choose one.")
    if kind not in formats():
        raise BadInput(f"format must be one of {', '.join(formats())}", repr(kind))
    if options.crop:
        raise BadInput(
            "frames must keep their size", "Crop to the subject", "Switch it off for clips."
        )
    if kind == "mp4" and options.output != "mask" and options.background == "transparent":
        raise BadInput(
            "mp4 must have a background, as it has no transparency", "transparent",
            "Choose a colour or a picture.",
        )  # fmt: skip
    if options.background == "picture" and background is None:
        raise BadInput("background must come with a picture", "none", "Choose one.")


def one(
    name: str, path: Path, kind: str, options: CutoutOptions, background: Any, steady: Steady | None
) -> Iterator[str]:
    """One clip: what happens; last, what became of it. One frame is held at a time, and each
    waits for its turn in the host's queue. Stopped, PNG stay and videos go."""
    rate, total = timing(path)
    count = 0
    with writing(output_folder(""), name, path, kind, rate, options) as (add, finish):
        try:
            for picture in pictures_of(path):
                if _stop.is_set():
                    break
                with hosts.job("ToonOut"):
                    add(cut(picture, options, background, steady), picture.seconds)
                count += 1
                yield f"{name}: {count}/{total or '?'}"
        except Cancelled:
            _stop.set()
        if not count and not _stop.is_set():
            raise BadInput(f"{name} must hold frames", "none")
        if _stop.is_set() and kind != "png":
            raise Cancelled(f"{name}: stopped after {count} frames, nothing is kept.")
        results = ", ".join(map(str, finish()))
    told = f"stopped after {count} frames" if _stop.is_set() else f"{count} frames"
    yield f"{name}: {told}: {results}"


@contextmanager
def writing(
    folder: Path, name: str, clip: Path, kind: str, rate: float, options: CutoutOptions
) -> Iterator[tuple[Any, Any]]:
    """A function that takes the cut of each frame and how long it is shown, and one that gives the
    results their names. The sound comes from `clip`."""
    suffixes = [".mask"] if options.output == "mask" else [""]
    if options.output == "cutout + mask":
        suffixes = ["", ".mask"]
    if kind == "png":
        yield _sequence(fresh_folder(folder, name), name, suffixes)
        return
    ending = CLIP_FORMATS[kind].suffixes[0]
    with ExitStack() as partials, ExitStack() as writers:
        paths: list[Path] = []
        clips: list[ClipWriter] = []
        for _ in suffixes:
            paths.append(partials.enter_context(partial_file(folder, ending)))
            clips.append(writers.enter_context(clip_writer(paths[-1], rate=rate, sound=clip)))

        def add(result: Cut, seconds: float) -> None:
            for suffix, writer in zip(suffixes, clips, strict=True):
                writer.add(*layers(result, suffix), seconds)

        def finish() -> list[Path]:
            writers.close()

            def names(number: int) -> list[Path]:
                counted = name if number == 1 else f"{name}_{number}"
                return [folder / f"{counted}{suffix}{ending}" for suffix in suffixes]

            return publish_numbered(paths, names)

        yield add, finish


def _sequence(folder: Path, name: str, suffixes: list[str]) -> tuple[Any, Any]:
    count = 0

    def add(result: Cut, seconds: float) -> None:
        nonlocal count
        count += 1
        for suffix in suffixes:
            image, alpha = layers(result, suffix)
            shown = result.matte.alpha if suffix else image
            write(folder / f"{name}_{count:05d}{suffix}.png", shown, alpha)

    return add, lambda: [folder]


def layers(result: Cut, suffix: str) -> tuple[Tensor, Tensor | None]:
    """Colours 1×3×H×W of a result or its mask, and alpha if it is transparent."""
    if suffix:
        return result.matte.alpha.expand(-1, 3, -1, -1), None
    if result.behind is not None:
        return result.matte.composite(result.behind), None
    return result.matte.colours, result.matte.alpha


def fresh_folder(parent: Path, name: str) -> Path:
    """`name`, or `name_2` and on: a new folder, nobody else's."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
