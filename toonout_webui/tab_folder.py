"""The page that cuts out a folder of pictures, or uploaded ones, with the shell's own engine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from modules import shared
from torch import Tensor

from ..toonout_core import BadInput, Cancelled, Matte, ToonOutError
from ..toonout_core.imaging import Picture, read
from ..toonout_core.ops.compositing import parse_colour
from ..toonout_core.output.batch import Batch
from ..toonout_core.output.cutouts import Output
from ..toonout_core.output.destination import Destination, sentence_of
from ..toonout_core.output.earlier import results_there, said_of
from ..toonout_core.output.manifest import Manifest, claim
from ..toonout_core.output.naming import Found, Source, find_sources
from ..toonout_core.output.publishing import Part
from ..toonout_core.output.report import Report, Result
from ..toonout_core.serving.cutting import cropped
from ..toonout_core.serving.options import CutoutOptions
from . import hosts, previews, widgets
from .cutting import cut_to_matte, wish

FORMATS = ("png", "webp", "tiff", "jpg")

# what was not made by this page is not left out by "Go on"
_KEEP_APART = '"Go on" leaves out what was made here with the same options.'

_stop = threading.Event()


def elem_id(name: str) -> str:
    """The id of a component of this page."""
    return f"toonout_folder_{name}"


def build() -> None:
    """Make the components inside of the current tab, and connect them."""
    with gr.Row(equal_height=False):
        with gr.Column(variant="compact"):
            places = _places()
            with gr.Row():
                start = gr.Button("Start", variant="primary", elem_id=elem_id("start"))
                stop = gr.Button("Stop", elem_id=elem_id("stop"))
            options = widgets.build(elem_id)
        with gr.Column(variant="compact"):
            status = gr.HTML(elem_id=elem_id("status"))
    names = list(options)

    def run(*values: Any) -> Iterator[str]:
        files, folder, out, recursive, resume, kind, *chosen = values
        given = dict(zip(names, chosen, strict=True))
        yield from work(files, folder, out, recursive, resume, kind, given)

    start.click(run, [*places, *options.values()], [status])
    stop.click(_stop.set, [], [], queue=False)


def _places() -> list[Any]:
    hidden = bool(hosts.flag("hide_ui_dir_config", False))
    files = gr.Files(label="Pictures", elem_id=elem_id("files"))
    folder = gr.Textbox(
        label="Or a folder on the machine of the server", max_lines=1, visible=not hidden,
        elem_id=elem_id("input"),
    )  # fmt: skip
    out = gr.Textbox(
        label="Folder for the results", max_lines=1, visible=not hidden, elem_id=elem_id("results"),
        info="Empty: toonout, in the host's folder of Extras.",
    )  # fmt: skip
    with gr.Row():
        recursive = gr.Checkbox(
            True, label="With subfolders", info="They appear again among the results.",
            elem_id=elem_id("recursive"), elem_classes=["toonout-switch"],
        )  # fmt: skip
        resume = gr.Checkbox(
            True, label="Go on", info="Leave out what is done with the same options.",
            elem_id=elem_id("resume"), elem_classes=["toonout-switch"],
        )  # fmt: skip
        kind = gr.Dropdown(
            choices=list(FORMATS), value="png", label="Format", elem_id=elem_id("format")
        )
    return [files, folder, out, recursive, resume, kind]


def work(
    files: list[Any] | None,
    folder: str,
    out: str,
    recursive: bool,
    resume: bool,
    kind: str,
    values: dict[str, Any],
) -> Iterator[str]:
    """Cut pictures out: status lines meanwhile, and a report at the end."""
    _stop.clear()
    try:
        chosen, background = widgets.split(values)
        options = wish(chosen)
        output = output_of(options, kind, background)
        target = output_folder(out)
        with claim(target, wait=False) as manifest:
            sources = search(files, folder, manifest, recursive)
            destination = Destination(
                target, sources.sources, settings=settings_of(options, kind, background),
                resume=resume, manifest=manifest,
            )  # fmt: skip
            batch = Batch(destination, lambda: lambda picture: matte_of(picture, options), output)
            there = 0 if resume else sum(results_there(destination, output.suffixes()))
            yield from progress(batch, sources, said_of(there, _KEEP_APART))
    except (ToonOutError, OSError) as error:
        yield previews.sentence(sentence_of(error), "bad")


def progress(batch: Batch[Matte], found: Found, first: str = "") -> Iterator[str]:
    """One picture at a time in the host's queue, so that others get their turn between two.

    `first`: a sentence that stays above all status lines.
    """
    first = previews.sentence(first) if first else ""
    report = Report(
        [Result(Path(name), "failed", message=text) for name, text in found.problems],
        not_read=found.not_pictures,
    )
    results = batch.run()
    yield first + previews.sentence(f"0/{len(batch)}")
    try:
        while not _stop.is_set():
            with hosts.job("ToonOut"):
                result = next(results, None)
            if result is None:
                break
            report.results.append(result)
            done = f"{len(report.results)}/{len(batch)}: {result.source.name}"
            yield first + previews.sentence(done)
        report.interrupted = _stop.is_set()
    except Cancelled:
        report.interrupted = True
    finally:
        results.close()  # pyright: ignore (a generator)
    yield first + conclusion(report, batch.destination.out)


def conclusion(report: Report, out: Path) -> str:
    """The report of all pictures, as HTML."""
    rows = [
        (result.source.name, result.status, result.message or ", ".join(result.notes))
        for result in report.results
        if result.message or result.notes
    ]
    told = previews.sentence(report.sentence(), "bad" if report.exit_code else "good")
    told += previews.sentence(f"Results: {out}")
    return told + (previews.table(("picture", "state", "what happened"), rows) if rows else "")


# ---------------------------------------------------------------- from components to parts


def search(files: list[Any] | None, folder: str, manifest: Manifest, recursive: bool) -> Found:
    """Uploaded pictures under their own names; without any, those of the folder."""
    if files:
        return uploaded(files)
    if hosts.flag("hide_ui_dir_config", False):
        raise BadInput("pictures must be uploaded here", "none")
    if not folder.strip():
        raise BadInput("there must be pictures or a folder", "none", "Choose some.")
    return find_sources(
        [folder.strip()], recursive=recursive, out=manifest.folder, results=manifest.outputs()
    )


def uploaded(files: Sequence[Any]) -> Found:
    """Uploads lie in temporary folders; results get the names that the user knows."""
    sources: list[Source] = []
    taken: set[str] = set()
    for upload in files:
        name = Path(hosts.file_name(upload))
        target = name.stem if name.stem.casefold() not in taken else name.name
        taken.add(target.casefold())
        sources.append(Source(Path(upload.name), Path(target)))
    return Found(sources)


def output_folder(text: str) -> Path:
    """Where results go."""
    if text.strip() and not hosts.flag("hide_ui_dir_config", False):
        return Path(text.strip()).expanduser().absolute()
    base = getattr(shared.opts, "outdir_samples", "") or getattr(
        shared.opts, "outdir_extras_samples", "outputs"
    )
    return Path(base).absolute() / "toonout"


def output_of(options: CutoutOptions, kind: str, background: Any) -> Files:
    """What a result is written as: girl.png, girl.mask.png or both."""
    if kind not in FORMATS:
        raise BadInput(f"format must be one of {', '.join(FORMATS)}", repr(kind))
    outputs: list[Output] = []
    if "cutout" in options.output:
        behind = behind_of(options, background)
        outputs.append(
            Output(
                format=kind, background=behind, background_fit=options.background_fit,  # pyright: ignore
                bars=parse_colour(options.colour),
            )
        )  # fmt: skip
    if "mask" in options.output:
        outputs.append(Output(suffix=".mask.png", mask_only=True))
    return Files(tuple(outputs))


def behind_of(options: CutoutOptions, background: Any) -> Tensor | None:
    """What results stand on: a colour 1×3×1×1, a picture, or nothing. Raises BadInput."""
    if options.background == "transparent":
        return None
    if options.background == "colour":
        return parse_colour(options.colour)
    if background is None:
        raise BadInput("background must come with a picture", "none", "Choose one.")
    return read(background).image


@dataclass(frozen=True)
class Files:
    """One or more files of each picture."""

    outputs: tuple[Output, ...]

    def suffixes(self) -> list[str]:
        """The endings of all results, as `batch.Form` asks for them."""
        return [suffix for output in self.outputs for suffix in output.suffixes()]

    def parts(self, made: Matte, picture: Picture) -> list[Part]:
        """The files of all outputs."""
        return [part for output in self.outputs for part in output.parts(made, picture)]

    def join(self) -> None:
        """Each frame of an animation has files of its own."""
        return None

    def notes(self, made: Matte) -> list[str]:
        """Notes on the matte, the same for all outputs."""
        return self.outputs[0].notes(made)

    def details(self, made: Matte) -> dict[str, Any]:
        """There are none."""
        return {}


def settings_of(options: CutoutOptions, kind: str, background: Any = None) -> dict[str, Any]:
    """All that a result depends on, beside its picture."""
    given: dict[str, Any] = {"model": options.model, "format": kind, **options.changed()}
    if options.background == "picture" and background is not None:
        given["background_picture"] = hashlib.sha256(background.tobytes()).hexdigest()
    return given


def matte_of(picture: Picture, options: CutoutOptions) -> Matte:
    """One picture of a batch."""
    matte, _, _ = cut_to_matte(picture, options)
    return cropped(matte, options)[0] if options.crop else matte
