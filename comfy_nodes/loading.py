"""Load Matting Model, and Load Character Segmenter."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..toonout_core import WEIGHTS, load_matting, load_segmenter
from ..toonout_core.chosen import loading_options, matting_options
from ..toonout_core.options import models
from ..toonout_core.weights import detectors
from . import made
from .host import FOLDER, INSTANCE_FOLDER, ComfyHost, fingerprint
from .menus import (
    AUTO,
    NONE,
    detector_names,
    instance_file,
    matting_file,
    matting_names,
    model_source,
    no_model,
    ours,
    published,
    refiner_names,
    refiner_source,
)
from .models import LoadedSegmenter, OwnModel
from .types import CATEGORY, Node, hidden_widget, outputs, schema, widget


class LoadMatting(Node):
    """Name or file → BACKGROUND_REMOVAL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_LoadMatting",
            display_name="Load Matting Model (ToonOut)",
            category=CATEGORY,
            description=(
                "Loads a model that cuts characters out. toonout-mini comes with this pack and "
                "works offline; the others are downloaded on first use, or read from "
                "models/background_removal."
            ),
            search_aliases=["toonout", "birefnet", "background removal", "rembg", "anime"],
            inputs=[
                widget(models.MODEL, options=matting_names()),
                widget(models.ALLOW_DOWNLOAD),
                widget(models.PRECISION, advanced=True),
                widget(models.PATCH_ORDER, advanced=True),
                hidden_widget(models.LOADER_RESOLUTION, advanced=True),
                widget(models.FAST, advanced=True, optional=True),
            ],
            outputs=outputs(made.MODEL),
        )

    @classmethod
    def validate_inputs(cls, model: str | None) -> bool | str:
        # None: connected, not yet known
        known = model is None or ours(model) in published("matting")
        return known or matting_file(model) is not None or no_model(str(model), FOLDER)

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_options: Any) -> str:
        return fingerprint(matting_file(model)) or str(model)

    @classmethod
    def execute(cls, model: str, **chosen: Any) -> io.NodeOutput:
        host = ComfyHost()
        source = model_source(ours(model), matting_file(model), FOLDER)
        matting = load_matting(source, host=host, **matting_options(chosen))
        return io.NodeOutput(OwnModel(matting, host))


class LoadSegmenter(Node):
    """Names or files → TOON_SEGMENTER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_LoadSegmenter",
            display_name="Load Character Segmenter (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Loads the model that finds every character in a picture. toonout-mini comes with "
                "this pack. anime-instances is larger and made for anime: it is downloaded on "
                "first use, or read from models/anime_instance."
            ),
            search_aliases=["instance segmentation", "rtmdet", "cartoon", "yolo", "detector"],
            inputs=[
                widget(models.DETECTOR, options=detector_names()),
                widget(models.REFINER, options=refiner_names()),
                widget(models.ALLOW_DOWNLOAD),
                widget(models.PRECISION, advanced=True),
                widget(models.FAST, advanced=True, optional=True),
            ],
            outputs=outputs(made.SEGMENTER),
        )

    @classmethod
    def validate_inputs(cls, detector: str | None, refiner: str | None) -> bool | str:
        known = {row.name for row in WEIGHTS} | {AUTO, NONE, *detectors(), None}  # None: connected
        missing = [n for n in (detector, refiner) if n not in known and instance_file(n) is None]
        return no_model(str(missing[0]), INSTANCE_FOLDER) if missing else True

    @classmethod
    def fingerprint_inputs(
        cls, detector: str | None = None, refiner: str | None = None, **_options: Any
    ) -> str:
        names = (detector, refiner)
        return " ".join(fingerprint(instance_file(name)) or str(name) for name in names)

    @classmethod
    def execute(cls, detector: str, refiner: str, **chosen: Any) -> io.NodeOutput:
        host = ComfyHost(INSTANCE_FOLDER)
        finder = model_source(detector, instance_file(detector), INSTANCE_FOLDER)
        how = loading_options(chosen)
        pipeline = load_segmenter(finder, refiner_source(refiner), host=host, **how)
        return io.NodeOutput(LoadedSegmenter(pipeline, host))
