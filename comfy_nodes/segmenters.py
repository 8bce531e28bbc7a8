"""Load Character Segmenter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..toonout_core import WEIGHTS, Precision, load_segmenter
from ..toonout_core.errors import BadInput
from ..toonout_core.weights import detectors
from .host import (
    FOLDER,
    FOREIGN_FOLDERS,
    FOREIGN_INSTANCE_FOLDERS,
    INSTANCE_FOLDER,
    ComfyHost,
    find_file,
    fingerprint,
    foreign_files,
)
from .loading import (
    loading_widgets,
    matting_files,
    model_names,
    model_source,
    no_model,
    table_names,
)
from .types import CATEGORY, Node, SegmenterModel, schema, widget

NO_REFINER = "none"
AUTO_REFINER = "auto"


@dataclass(frozen=True)
class LoadedSegmenter:
    """What travels as TOON_SEGMENTER."""

    pipeline: Any
    host: ComfyHost


def as_segmenter(value: Any) -> LoadedSegmenter:
    """The segmenter that was connected."""
    if isinstance(value, LoadedSegmenter):
        return value
    raise BadInput(
        "segmenter must come from Load Character Segmenter (ToonOut)", f"a {type(value).__name__}"
    )


def detector_names() -> list[str]:
    """What needs no download, published detectors, files of the instance folders, then
    everything else that makes mattes."""
    first = detectors()
    return first + _instance_files() + [name for name in model_names() if name not in first]


def refiner_names() -> list[str]:
    """What sharpens masks, `auto` first."""
    table = table_names("refine") + table_names("matting")
    return [AUTO_REFINER, NO_REFINER, *table, *_instance_files(), *matting_files()]


def _instance_files() -> list[str]:
    own = sorted(folder_paths.get_filename_list(INSTANCE_FOLDER))
    return own + foreign_files(FOREIGN_INSTANCE_FOLDERS)


def model_file(name: str | None) -> Path | None:
    """The file of a menu entry; None for a name of the weights table."""
    if not name:
        return None
    foreign = (*FOREIGN_INSTANCE_FOLDERS, *FOREIGN_FOLDERS)
    return find_file(name, (INSTANCE_FOLDER, FOLDER), foreign)


def _refiner(name: str) -> Path | str | None:
    if name in (NO_REFINER, AUTO_REFINER):
        return None if name == NO_REFINER else name
    return model_source(name, model_file(name), INSTANCE_FOLDER)


class LoadSegmenter(Node):
    """Names or files → TOON_SEGMENTER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_LoadSegmenter",
            display_name="Load Character Segmenter (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Loads what finds every character in a picture. toonout-mini comes with this pack. "
                "anime-instances is larger and made for anime: it is downloaded on first use, or "
                "read from models/anime_instance."
            ),
            search_aliases=["instance segmentation", "rtmdet", "cartoon", "yolo", "detector"],
            inputs=[
                widget(
                    io.Combo,
                    "detector",
                    options=detector_names(),
                    tooltip=(
                        "toonout-mini needs no download and tells characters apart that touch. "
                        "Or anime-instances, or a detector's file in models/anime_instance "
                        "(RTMDet-Ins or YOLOv8-seg; press R after adding one). With "
                        "toonout-mini-regions or another matting model every connected region of "
                        "the matte is a character."
                    ),
                ),
                widget(
                    io.Combo,
                    "refiner",
                    options=refiner_names(),
                    default=AUTO_REFINER,
                    tooltip=(
                        "Sharpens the masks. auto: anime-refiner behind a detector, nothing behind "
                        "a matting model. A matting model here cuts masks to its foreground."
                    ),
                ),
                *loading_widgets(),
            ],
            outputs=[
                SegmenterModel.Output(
                    display_name="segmenter",
                    tooltip="For Segment Characters and Characters from Prompts (ToonOut).",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, detector: str | None, refiner: str | None) -> bool | str:
        known = {row.name for row in WEIGHTS} | {AUTO_REFINER, NO_REFINER, *detectors()}
        missing = [
            name
            for name in (detector, refiner)
            if name is not None and name not in known and model_file(name) is None
        ]
        if not missing:
            return True
        return no_model(missing[0], INSTANCE_FOLDER)

    @classmethod
    def fingerprint_inputs(
        cls, detector: str | None = None, refiner: str | None = None, **_options: Any
    ) -> str:
        names = (detector, refiner)
        return " ".join(fingerprint(model_file(name)) or str(name) for name in names)

    @classmethod
    def execute(
        cls, detector: str, refiner: str, allow_download: bool, precision: Precision
    ) -> io.NodeOutput:
        host = ComfyHost(INSTANCE_FOLDER)
        pipeline = load_segmenter(
            model_source(detector, model_file(detector), INSTANCE_FOLDER),
            _refiner(refiner),
            host=host,
            precision=precision,
            download=allow_download,
        )
        return io.NodeOutput(LoadedSegmenter(pipeline, host))
