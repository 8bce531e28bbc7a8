"""Say what synthetic pictures are like: records for the command line that import no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import BadInput

Generator = Literal["simple", "enhanced"]


@dataclass(frozen=True)
class SceneOptions:
    """What scenes are like; the defaults are the paper's."""

    size_px: int = field(default=720, metadata={"help": "side of a scene"})
    mean_count: float = field(
        default=2.5, metadata={"help": "mean number of characters in a scene (Poisson)"}
    )
    most: int = field(default=9, metadata={"help": "largest number of characters in a scene"})
    kinds: tuple[float, float, float] = field(
        default=(0.4, 0.4, 0.2),
        metadata={"help": "shares of three layouts: like people in photographs, rows, tiles"},
    )
    histogram_share: float = field(
        default=0.2, metadata={"help": "share of scenes in which all have one histogram of colours"}
    )
    quantised_share: float = field(
        default=0.25, metadata={"help": "share of scenes in few colours"}
    )
    repeat_share: float = field(
        default=0.12, metadata={"help": "share of scenes that repeat one figure"}
    )
    turn_share: float = field(default=0.33, metadata={"help": "share of figures that are turned"})
    turn_deg: float = field(
        default=20.0, metadata={"help": "the largest angle that they are turned by, in degrees"}
    )
    distort_share: float = field(default=0.3, metadata={"help": "share of figures that are bent"})
    least_visible: float = field(
        default=0.25, metadata={"help": "a figure of which a smaller share can be seen is left out"}
    )
    single_share: float = field(
        default=0.0,
        metadata={"help": "share of scenes of one character, most of them large"},
    )
    empty_share: float = field(
        default=0.0, metadata={"help": "share of scenes without any character"}
    )
    close_share: float = field(
        default=0.0,
        metadata={
            "help": "share of scenes of two to four large characters that touch; in half of the "
            "pairs, blobs of the one behind are in front, like arms that hug"
        },
    )
    attach_share: float = field(
        default=0.0,
        metadata={
            "help": "share of figures that get a tail, wings, a staff or an item of the art, which "
            "belongs to them"
        },
    )
    flat_share: float = field(default=0.0, metadata={"help": "share of scenes on a plain colour"})
    loose_share: float = field(
        default=0.0,
        metadata={"help": "share of scenes with items, letters or drawn things behind and beside "
                  "characters"},
    )  # fmt: skip
    portrait_share: float = field(
        default=0.0,
        metadata={"help": "share of large single characters that are larger than the picture, so "
                  "that only the upper part is seen"},
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.size_px < 32 or self.most < 1 or self.mean_count <= 0:
            raise BadInput(
                "size_px must be at least 32, most at least 1 and mean_count above 0",
                f"{self.size_px}, {self.most} and {self.mean_count}",
            )
        if min(self.kinds) < 0 or sum(self.kinds) <= 0:
            raise BadInput("kinds must be three shares", str(self.kinds))
        if self.single_share + self.empty_share + self.close_share > 1:
            raise BadInput(
                "single_share, empty_share and close_share together must be at most 1",
                f"{self.single_share}, {self.empty_share} and {self.close_share}",
            )


@dataclass(frozen=True)
class PairOptions:
    """What pictures are like; the defaults are the report's."""

    kind: Generator = field(default="enhanced", metadata={"help": "generator"})
    size_px: int = field(default=640, metadata={"help": "side of a picture"})
    most: int = field(
        default=7, metadata={"help": "largest number of figures in a picture (enhanced)"}
    )
    crop_share: float = field(
        default=0.1, metadata={"help": "share of figures that are cut to 50 to 100 %"}
    )
    most_noise: float = field(
        default=31.0, metadata={"help": "largest standard deviation of the noise, of 255 levels"}
    )
    least_visible: float = field(
        default=0.25, metadata={"help": "a figure of which a smaller share can be seen is left out"}
    )

    def __post_init__(self) -> None:
        if self.size_px < 32 or self.most < 1 or self.most_noise < 0:
            raise BadInput(
                "size_px must be at least 32, most at least 1 and most_noise at least 0",
                f"{self.size_px}, {self.most} and {self.most_noise}",
            )


@dataclass(frozen=True)
class KeyOptions:
    """How a frame is keyed. `hue_deg` None takes the border's own hue."""

    hue_deg: float | None = field(
        default=None, metadata={"help": "hue of the screen, 0 to 360 degrees"}
    )
    cone_deg: float = field(
        default=30.0,
        metadata={"help": "a hue this far from the screen's has nothing of the screen in it"},
    )
    edge_px: float = field(
        default=3.0, metadata={"help": "how wide soft edges are; more for hair and motion blur"}
    )
    despill: float = field(default=0.5, metadata={"help": "share of the screen's light taken away"})
    least_part: float = field(
        default=0.02,
        metadata={"help": "parts smaller than this share of the largest part are removed"},
    )
    least_share: float = field(
        default=0.02, metadata={"help": "least share of the frame that a figure fills"}
    )

    def __post_init__(self) -> None:
        if not 5 <= self.cone_deg <= 85:
            raise BadInput("cone_deg must be 5 … 85", str(self.cone_deg))
        if not 0 <= self.despill <= 1:
            raise BadInput("despill must be 0 … 1", str(self.despill))


@dataclass(frozen=True)
class ClipOptions:
    """Which frames of a clip are taken."""

    every: int = field(default=1, metadata={"help": "take one frame of this many"})
    least_change: float = field(
        default=0.01,
        metadata={"help": "a frame that differs less from the last one kept is left out, 0 to 1"},
    )
    crop: bool = field(
        default=True, metadata={"help": "end cutouts at their figure, with a margin of 4 %"}
    )
    most_share: float = field(
        default=0.95, metadata={"help": "largest share of the frame that a figure fills"}
    )

    def __post_init__(self) -> None:
        if self.every < 1 or self.least_change < 0:
            raise BadInput(
                "every must be at least 1 and least_change at least 0",
                f"{self.every} and {self.least_change}",
            )
