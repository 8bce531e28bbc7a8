"""Cut Out Video."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy_api.latest as api
import folder_paths
import torch
from comfy_api.latest import io, ui

from ..toonout_core.chosen import foreground_options
from ..toonout_core.errors import BadInput
from ..toonout_core.flow import MattingFlow
from ..toonout_core.imaging import Picture, from_comfy
from ..toonout_core.ops.compositing import parse_colour
from ..toonout_core.options import clips, cutout, models
from . import given, made
from .models import as_model
from .saving import Place, workflow_text
from .types import CATEGORY, Node, inputs, outputs, schema, widget, widgets


class CutVideo(Node):
    """VIDEO → a file with the character alone, and VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_CutVideo",
            display_name="Cut Out Video (ToonOut)",
            category=CATEGORY,
            description=(
                "Cuts the character out of a video of any length: frames are read, cut out and "
                "written one after the other, and only a few are in memory. Sound is kept."
            ),
            search_aliases=["remove video background", "video matting", "rotoscope", "webm alpha"],
            is_output_node=True,
            inputs=[
                *inputs(given.MODEL, given.VIDEO),
                *widgets(clips.CUT_FORMAT, clips.CUT_COLOUR, cutout.STEADY, cutout.SOUND),
                *widgets(clips.CUT_PREFIX, models.RESOLUTION, cutout.CLEAN_COLOURS),
                widget(cutout.DETAIL, advanced=True),
            ],
            outputs=outputs(made.CUT_VIDEO),
        )

    @classmethod
    def execute(cls, model: Any, video: Any, **chosen: Any) -> io.NodeOutput:
        flow = copy(as_model(model, 0))
        flow.mattes = None  # each frame is seen once
        with _opened(video) as source, flow.host.progress(source.count, "clip") as report:
            place = _Place(chosen, video.get_dimensions())
            path = _written(flow, source, place.path, chosen, workflow_text(cls.hidden), report)
        saved = ui.SavedResult(path.name, place.subfolder, place.kind)
        return io.NodeOutput(api.InputImpl.VideoFromFile(str(path)), ui=ui.PreviewVideo([saved]))


def _written(
    flow: MattingFlow, source: _Source, path: Path, chosen: Any, texts: dict[str, str], report: Any
) -> Path:
    from ..toonout_core.output.clip_cutting import cut_to_clip
    from ..toonout_core.output.cutouts import Output
    from ..toonout_core.steadying import SteadyMatting

    if chosen["steady"]:
        flow = SteadyMatting(flow)
    colours = foreground_options(chosen)

    def cut(picture: Picture) -> Any:
        return flow(
            picture, foreground=colours, resolution=chosen["resolution"] or None,
            keep_image=False, detail=chosen["detail"],
        )  # fmt: skip

    opaque = chosen["format"] == "mp4"
    return cut_to_clip(
        path, source.frames, cut,
        Output(background=parse_colour(chosen["colour"]) if opaque else None),
        lambda _: report(1), rate=source.rate, sound=source.sound if chosen["sound"] else None,
        sound_from=source.begin, texts=texts,
    )  # fmt: skip


class _Place:
    """Where the clip goes: into the output folder, or if it has no name into the temporary one."""

    def __init__(self, chosen: Any, size: tuple[int, int]) -> None:
        ending = f".{chosen['format']}"
        if chosen["filename_prefix"]:
            shape = torch.empty((1, 3, size[1], size[0]), device="meta")
            place = Place(chosen["filename_prefix"], None, ending, shape)
            self.path, self.subfolder = place.names(0)(1)[0], place.subfolder
            self.kind = io.FolderType.output
        else:
            folder = _temporary()
            self.path, self.subfolder = folder / f"clip{ending}", folder.name
            self.kind = io.FolderType.temp


def _temporary() -> Path:
    """A folder of our own, which ComfyUI deletes when it starts again."""
    parent = Path(folder_paths.get_temp_directory())
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="toonout_", dir=parent))


# ---------------------------------------------------------------- VIDEO


@dataclass(frozen=True)
class _Source:
    """Frames, how many there are (about), and a file with the sound, `begin` seconds before it."""

    frames: Iterator[Picture]
    rate: float
    count: int
    sound: Path | None = None
    begin: float = 0.0


@contextmanager
def _opened(video: Any) -> Iterator[_Source]:
    """A VIDEO as frames, of which only the next ones are in memory."""
    folder = _temporary()
    try:
        if isinstance(video, api.InputImpl.VideoFromComponents):
            yield _of_batch(video.get_components(), folder)
        elif hasattr(video, "get_stream_source"):
            yield _of_file(video, folder)
        else:
            raise BadInput("video must be a VIDEO", f"a {type(video).__name__}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _of_batch(parts: Any, folder: Path) -> _Source:
    from ..toonout_core.output.clip_sound import write_wave

    rate, sound = float(parts.frame_rate), None
    if parts.audio:
        sound = folder / "sound.wav"
        write_wave(sound, parts.audio["waveform"][0], int(parts.audio["sample_rate"]))

    def frames() -> Iterator[Picture]:
        for i in range(len(parts.images)):
            image, alpha = from_comfy(parts.images[i : i + 1])
            yield Picture(image, alpha, seconds=1 / rate)

    return _Source(frames(), rate, len(parts.images), sound)


def _of_file(video: Any, folder: Path) -> _Source:
    from ..toonout_core.output.clips import part_of, pictures_of, timing

    begin, seconds = 0.0, 0.0
    if hasattr(video, "get_active_trim_window"):
        begin, seconds = video.get_active_trim_window()
        path = _file(video.get_stream_source(), folder)
    elif hasattr(video, "as_trimmed"):  # releases that trim without telling how
        path = folder / "video.mp4"
        video.save_to(str(path))
    else:
        path = _file(video.get_stream_source(), folder)
    rate, count = timing(path, video=True)
    count = max(round(count - begin * rate), 0)
    if seconds:
        count = min(count, round(seconds * rate))
    frames = part_of(pictures_of(path, video=True), begin, seconds)
    return _Source(frames, rate, count, path, begin)


def _file(source: Any, folder: Path) -> Path:
    """What a VIDEO holds as a file: it may be bytes."""
    if not hasattr(source, "read"):
        return Path(source)
    path = folder / "video"
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    return path
