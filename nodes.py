"""The table of contents of the ComfyUI pack: every node class, in menu order."""

from __future__ import annotations

from typing import Any

from .comfy_nodes.adjusting import AdjustMatte
from .comfy_nodes.composing import Compose
from .comfy_nodes.cropping import CropInstances
from .comfy_nodes.from_masks import InstancesFromMasks
from .comfy_nodes.from_prompts import InstancesFromPrompts
from .comfy_nodes.fusing import FuseSegments
from .comfy_nodes.host import register_folders, register_help
from .comfy_nodes.kenburns import KenBurns
from .comfy_nodes.layering import Layers, SaveLayers
from .comfy_nodes.loading import LoadMatting, LoadSegmenter
from .comfy_nodes.matting import EstimateForeground, MatteImage
from .comfy_nodes.measuring import CompareMattes, MeasureMatte
from .comfy_nodes.moving import has_video
from .comfy_nodes.pasting import PasteInstances
from .comfy_nodes.pictures import ExamplePicture
from .comfy_nodes.prompting import JoinPrompts
from .comfy_nodes.puppet import Puppet
from .comfy_nodes.reading import LoadFolder
from .comfy_nodes.regional import PromptCharacters
from .comfy_nodes.saving import SaveCutout
from .comfy_nodes.segmenting import SegmentInstances
from .comfy_nodes.segs import InstancesToSegs
from .comfy_nodes.selecting import SelectInstances
from .comfy_nodes.sharing import InstanceMattes
from .comfy_nodes.spriting import SpriteSheet
from .comfy_nodes.types import Extension
from .comfy_nodes.videos import CutVideo

NODES: list[type[Any]] = [
    LoadMatting,
    MatteImage,
    EstimateForeground,
    AdjustMatte,
    Compose,
    SaveCutout,
    LoadFolder,
    LoadSegmenter,
    SegmentInstances,
    InstancesFromPrompts,
    InstancesFromMasks,
    SelectInstances,
    InstanceMattes,
    FuseSegments,
    CropInstances,
    PasteInstances,
    JoinPrompts,
    InstancesToSegs,
    MeasureMatte,
    CompareMattes,
    KenBurns,
    Puppet,
    Layers,
    SaveLayers,
    SpriteSheet,
    PromptCharacters,
    *([CutVideo] if has_video() else []),
    ExamplePicture,
]


def extension() -> Extension:
    """What ComfyUI asks for nodes."""
    register_folders()
    register_help()
    return Extension(NODES)
