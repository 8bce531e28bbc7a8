"""ToonOut: cut anime and cartoon characters out of pictures.

>>> matte = load_matting("toonout")("girl.png")
>>> matte.cutout().save("girl_cutout.png")

Public names are imported when they are first used, so that `import toonout_core` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazily import lazily

if TYPE_CHECKING:
    from .errors import (
        BadInput,
        Cancelled,
        CorruptWeights,
        DownloadFailed,
        OutOfMemory,
        ToonOutError,
        UnknownModel,
    )
    from .flow import ForegroundOptions
    from .host import Host, LocalHost
    from .instances import Instances
    from .loading import load_network
    from .matting import Matting, load_matting
    from .ops.adjust import AdjustOptions
    from .ops.foreground import estimate_foreground
    from .results import Matte
    from .segmentation.anything import SegmentAnythingOptions, segment_anything
    from .segmentation.asking import SegmentOptions
    from .segmentation.centred import CentreSegmenter
    from .segmentation.fusion import FusionOptions, fuse
    from .segmentation.instance_segmenter import InstanceSegmenter
    from .segmentation.regional import RegionSegmenter
    from .segmentation.segmenter import Segmenter, load_segmenter
    from .segmentation.sharing import ShareOptions, share_matte
    from .weights import WEIGHTS, Weights
    from .words import Fit, Precision

__version__ = "0.1.0"

__all__ = [
    "WEIGHTS",
    "AdjustOptions",
    "BadInput",
    "Cancelled",
    "CentreSegmenter",
    "CorruptWeights",
    "DownloadFailed",
    "Fit",
    "ForegroundOptions",
    "FusionOptions",
    "Host",
    "InstanceSegmenter",
    "Instances",
    "LocalHost",
    "Matte",
    "Matting",
    "OutOfMemory",
    "Precision",
    "RegionSegmenter",
    "SegmentAnythingOptions",
    "SegmentOptions",
    "Segmenter",
    "ShareOptions",
    "ToonOutError",
    "UnknownModel",
    "Weights",
    "estimate_foreground",
    "fuse",
    "load_matting",
    "load_network",
    "load_segmenter",
    "segment_anything",
    "share_matte",
]

_HOMES = {
    "segmentation.anything": ("SegmentAnythingOptions", "segment_anything"),
    "segmentation.asking": ("SegmentOptions",),
    "segmentation.instance_segmenter": ("InstanceSegmenter",),
    "errors": (
        "BadInput",
        "Cancelled",
        "CorruptWeights",
        "DownloadFailed",
        "OutOfMemory",
        "ToonOutError",
        "UnknownModel",
    ),
    "segmentation.centred": ("CentreSegmenter",),
    "segmentation.fusion": ("FusionOptions", "fuse"),
    "host": ("Host", "LocalHost"),
    "instances": ("Instances",),
    "loading": ("load_network",),
    "flow": ("ForegroundOptions",),
    "matting": ("Matting", "load_matting"),
    "ops.adjust": ("AdjustOptions",),
    "ops.foreground": ("estimate_foreground",),
    "segmentation.regional": ("RegionSegmenter",),
    "results": ("Matte",),
    "segmentation.segmenter": ("Segmenter", "load_segmenter"),
    "segmentation.sharing": ("ShareOptions", "share_matte"),
    "weights": ("WEIGHTS", "Weights"),
    "words": ("Fit", "Precision"),
}


__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
