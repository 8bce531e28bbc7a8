"""Layers of Characters, and Save Layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..toonout_core import ForegroundOptions, Instances
from ..toonout_core.characters.prompts import split_prompts
from ..toonout_core.errors import BadInput
from ..toonout_core.flow import estimate_colours
from ..toonout_core.imaging import from_comfy, to_comfy
from ..toonout_core.layers.building import card_layers, character_layers
from ..toonout_core.layers.comfy_document import from_document, to_document
from ..toonout_core.layers.files import layer_part
from ..toonout_core.layers.record import LayeredPicture
from ..toonout_core.options import files
from ..toonout_core.options import layers as options
from ..toonout_core.output.publishing import partial_file, publish_numbered
from ..toonout_core.output.writing import write_checked
from . import given, made
from .found import Frames, as_frames
from .host import ComfyHost
from .places import check_prefix
from .saving import Place
from .types import CATEGORY, Node, inputs, outputs, schema, widget


class Layers(Node):
    """Pictures and characters, or cards → ComfyUI's own document of layers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_Layers",
            display_name="Layers of Characters (ToonOut)",
            category=f"{CATEGORY}/instances",
            description=(
                "Takes a picture apart into layers: the picture itself (hidden), the background "
                "without its characters, and a layer for each of them. For Save Layers, and for "
                "ComfyUI's own Create Layered Image and Add Layer. A list of RGBA pictures becomes "
                "layers too."
            ),
            search_aliases=["psd", "ora", "photoshop", "krita", "layered image", "see-through"],
            is_input_list=True,
            inputs=[
                *inputs(given.LAYERED_IMAGE, given.LAYERED_INSTANCES),
                *inputs(given.LAYER_COLOURS, given.LAYER_PLATE, given.CARDS),
                widget(options.LAYER_NAMES),
            ],
            outputs=outputs(made.DOCUMENTS, made.LAYER_COUNT),
        )

    @classmethod
    def execute(cls, names: list[str], **values: list[Any] | None) -> io.NodeOutput:
        texts = list(names) if len(names) > 1 else split_prompts(names[0])
        image, instances, cards = (values.get(name) for name in ("image", "instances", "cards"))
        pictures: list[LayeredPicture] = []
        if instances is not None:
            planes, frames = _paired(image, instances)
            colours, plates = (
                _all_or_none(values.get(name)) for name in ("foreground", "background")
            )
            pictures = _character_pictures(planes, frames, colours, plates, texts)
        if cards is not None:
            pictures = [_with_cards(pictures, image, cards, texts)]
        if not pictures:
            raise BadInput(
                "there must be characters or cards", "neither",
                "Connect image and instances, or cards.",
            )  # fmt: skip
        count = sum(len(picture.layers) for picture in pictures)
        return io.NodeOutput([to_document(picture) for picture in pictures], count)


def _paired(image: list[Tensor] | None, instances: list[Any]) -> tuple[list[Tensor], Frames]:
    """Each frame of the pictures, 1×H×W×C, and its instances."""
    if image is None:
        raise BadInput("image must be connected where instances are", "nothing")
    frames = tuple(frame for value in instances for frame in as_frames(value))
    planes = _frames_of(image)
    if len(planes) != len(frames):
        raise BadInput(
            "there must be instances for every picture",
            f"{len(planes)} pictures and instances of {len(frames)}",
        )
    return planes, frames


def _frames_of(images: Sequence[Tensor]) -> list[Tensor]:
    """IMAGEs of any number of frames → each frame, 1×H×W×C."""
    return [frame for image in images for frame in image.split(1)]


def _all_or_none(images: Sequence[Tensor] | None) -> list[Tensor] | None:
    return None if images is None else [from_comfy(frame)[0] for frame in _frames_of(images)]


def _character_pictures(
    frames: list[Tensor],
    found: Frames,
    colours: list[Tensor] | None,
    plates: list[Tensor] | None,
    names: list[str],
) -> list[LayeredPicture]:
    host = ComfyHost()
    pictures: list[LayeredPicture] = []
    with host.progress(len(frames), "layers") as report:
        for index, (frame, mattes) in enumerate(zip(frames, found, strict=True)):
            picture, alpha = from_comfy(frame)
            own = _one_of(colours, index, len(frames), "foreground")
            if own is None:
                own = _estimated(host, picture, mattes)
            plate = _one_of(plates, index, len(frames), "background")
            pictures.append(character_layers(picture, mattes, own, plate, names, alpha=alpha))
            report(1)
    return pictures


def _estimated(host: ComfyHost, picture: Tensor, mattes: Instances) -> Tensor:
    union = mattes.union().to(picture)
    with host.progress(1, "foreground") as report:
        return estimate_colours(host, picture, union, ForegroundOptions(), report)


def _one_of(planes: list[Tensor] | None, index: int, count: int, name: str) -> Tensor | None:
    """That of a picture; one serves all."""
    if planes is None:
        return None
    if len(planes) not in (1, count):
        raise BadInput(f"{name} must be one, or as many as the pictures: {count}", str(len(planes)))
    return planes[index % len(planes)]


def _with_cards(
    pictures: list[LayeredPicture],
    image: list[Tensor] | None,
    cards: list[Tensor],
    names: list[str],
) -> LayeredPicture:
    if len(pictures) > 1:
        raise BadInput("cards must go with one picture", f"{len(pictures)} pictures")
    below = pictures[0] if pictures else None
    size_hw = None
    if below is None and image is not None:
        size_hw = (int(image[0].shape[1]), int(image[0].shape[2]))
    parts = [from_comfy(card) for card in _frames_of(cards)]
    return card_layers(parts, names if below is None else [], below=below, size_hw=size_hw)


class SaveLayers(Node):
    """A document of layers → a file of a paint program."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ToonOut_SaveLayers",
            display_name="Save Layers (ToonOut)",
            category=CATEGORY,
            description=(
                "Saves layers for paint programs: PSD for Photoshop, Krita and GIMP, OpenRaster "
                "for Krita and GIMP. Never overwrites a file."
            ),
            search_aliases=["save psd", "photoshop", "krita", "gimp", "openraster", "ora"],
            is_output_node=True,
            inputs=[
                *inputs(given.LAYERS),
                widget(options.LAYERS_PREFIX),
                widget(options.LAYERS_FORMAT),
                widget(files.NAMES, optional=True, force_input=True),
            ],
            outputs=[],
        )

    @classmethod
    def execute(
        cls, layers: Any, filename_prefix: str, format: str, names: str | None = None
    ) -> io.NodeOutput:
        if not isinstance(layers, dict):
            raise BadInput(
                "layers must be a document of layers", f"a {type(layers).__name__}",
                "Connect Layers of Characters (ToonOut).",
            )  # fmt: skip
        check_prefix(filename_prefix)
        picture = from_document(layers)
        part = layer_part(picture, f".{format}")
        colours, alpha = picture.flat()
        place = Place(filename_prefix, names, part.suffix, colours)
        with partial_file(Path(place.folder)) as partial:
            write_checked(partial, part.encode, part.check)
            publish_numbered([partial], place.names(0))
        return io.NodeOutput(ui=ui.PreviewImage(to_comfy(torch.cat((colours, alpha), 1)), cls=cls))
