"""Load Matting Model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import folder_paths
from comfy_api.latest import io

from ..toonout_core import WEIGHTS, Precision, UnknownModel, load_matting
from ..toonout_core.weights import find
from .host import (
    FOLDER,
    FOREIGN_FOLDERS,
    ComfyHost,
    fingerprint,
    foreign_files,
    weight_dirs,
)
from .host import find_file as find_in
from .models import OwnModel
from .types import CATEGORY, MattingModel, Node, schema, widget

PATCH_ORDERS: dict[str, Literal["channel_first", "channel_last"] | None] = {
    "auto": None,
    "new": "channel_first",
    "old": "channel_last",
}


def model_names() -> list[str]:
    """The weights table, then every file in the folders, `models/background_removal` first."""
    return table_names("matting") + matting_files()


def table_names(task: str) -> list[str]:
    """Published models."""
    return [row.name for row in WEIGHTS if row.task == task]


def matting_files() -> list[str]:
    """Those of the user, then those of other packs."""
    own = sorted(folder_paths.get_filename_list(FOLDER))
    return own + foreign_files(FOREIGN_FOLDERS)


def find_file(name: str) -> Path | None:
    """The file of an entry of `model_names`; None for a name of the weights table."""
    return find_in(name, (FOLDER,), FOREIGN_FOLDERS)


def loading_widgets() -> list[Any]:
    """What every loader asks."""
    return [
        widget(
            io.Boolean,
            "allow_download",
            default=True,
            tooltip="Off: never use the network; a model that is not there is an error.",
        ),
        widget(
            io.Combo,
            "precision",
            options=["auto", "fp32", "fp16", "bf16"],
            default="auto",
            advanced=True,
            tooltip="auto: fp16 where the device is good at it, fp32 elsewhere.",
        ),
    ]


def no_model(name: str, folder: str) -> str:
    """What is wrong with a menu entry whose file is gone; `folder`: where it should lie."""
    folders = ", ".join(str(path) for path in weight_dirs(folder))
    return (
        f"There is no model {name!r}. Folders searched: {folders}. Put the file into the first one "
        "and press R, or choose another model."
    )


def model_source(name: str, path: Path | None, folder: str) -> Path | str:
    """What to load: the file of a menu entry, or a name of the weights table. A path is neither,
    for a connected input could name any file of this machine."""
    if path is not None or find(name) is not None:
        return path or name
    raise UnknownModel(no_model(name, folder))


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
                widget(
                    io.Combo,
                    "model",
                    options=model_names(),
                    tooltip=(
                        "A published model by name, or any .safetensors / .pth file of a known "
                        "network in models/background_removal (press R after adding one)."
                    ),
                ),
                *loading_widgets(),
                widget(
                    io.Combo,
                    "patch_order",
                    options=list(PATCH_ORDERS),
                    default="auto",
                    advanced=True,
                    tooltip=(
                        "Only for BiRefNet files: the order in which the network was trained to "
                        "see picture patches. auto takes what the file states, then what is known "
                        "of published files, else new. A wrong order spoils mattes silently."
                    ),
                ),
                widget(
                    io.Int,
                    "resolution",
                    default=0,
                    min=0,
                    max=4096,
                    step=32,
                    advanced=True,
                    tooltip=(
                        "Side of the square that the network sees, when Remove Background runs "
                        "the model too. 0: what the model was trained with."
                    ),
                ),
            ],
            outputs=[
                MattingModel.Output(
                    display_name="model",
                    tooltip=(
                        "For Cut Out Character (ToonOut), and for ComfyUI's own Remove Background."
                    ),
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, model: str | None) -> bool | str:
        if model is None:
            return True  # connected: known only when the graph runs
        if model in table_names("matting") or find_file(model) is not None:
            return True
        return no_model(model, FOLDER)

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, **_options: Any) -> str:
        return fingerprint(find_file(model) if model else None) or str(model)

    @classmethod
    def execute(
        cls,
        model: str,
        allow_download: bool,
        precision: Precision,
        patch_order: Literal["auto", "new", "old"],
        resolution: int,
    ) -> io.NodeOutput:
        host = ComfyHost()
        matting = load_matting(
            model_source(model, find_file(model), FOLDER),
            host=host,
            precision=precision,
            resolution=resolution or None,
            patch_order=PATCH_ORDERS[patch_order],
            download=allow_download,
        )
        return io.NodeOutput(OwnModel(matting, host))
