"""The record that matting pipelines return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image
from torch import Tensor

from .errors import BadInput
from .imaging import to_pil
from .ops.compositing import colour_of, over, parse_colour
from .ops.framing import Framing, cut_to, framed, visible_box


@dataclass(frozen=True)
class Matte:
    """Alpha of a batch of pictures and the colours that belong to it.

    `image` B×3×H×W as given; `alpha` B×1×H×W, straight; `foreground` B×3×H×W, the colours without
    the old background, or None if they were not estimated. All are float32 in [0, 1].
    """

    image: Tensor
    alpha: Tensor
    foreground: Tensor | None = None

    def __post_init__(self) -> None:
        frames, channels, height, width = self.image.shape
        if channels != 3:
            raise BadInput("image must be B×3×H×W", f"shape {tuple(self.image.shape)}")
        if self.alpha.shape != (frames, 1, height, width):
            raise BadInput(
                f"alpha must be {frames}×1×{height}×{width} like its image",
                f"shape {tuple(self.alpha.shape)}",
            )
        if self.foreground is not None and self.foreground.shape != self.image.shape:
            raise BadInput(
                f"foreground must have the image's shape {tuple(self.image.shape)}",
                f"shape {tuple(self.foreground.shape)}",
            )

    def __repr__(self) -> str:
        """Name the sizes: all values would fill a screen."""
        count, _, height, width = self.alpha.shape
        return f"Matte({count} of {width}×{height})"

    def __len__(self) -> int:
        return int(self.image.shape[0])

    @property
    def size_hw(self) -> tuple[int, int]:
        return int(self.image.shape[-2]), int(self.image.shape[-1])

    @property
    def colours(self) -> Tensor:
        """The colours B×3×H×W to be shown under `alpha`: the foreground. Without one they are the
        image's where it is visible, and black where it is not, so that no hidden background travels
        along.
        """
        if self.foreground is not None:
            return self.foreground
        return self.image.where(self.alpha > 0, 0)

    def framed(self, framing: Framing) -> Matte:
        """Cut to what all frames show together; the same where nothing is visible. Transparent,
        and black, where the crop sticks out."""
        box = visible_box(self.alpha)
        if box is None:
            return self
        return self.cut_to(framed(box, self.size_hw, framing))

    def cut_to(self, box_xyxy: Sequence[int]) -> Matte:
        """The part of a box, which may stick out."""
        colours = None if self.foreground is None else cut_to(self.foreground, box_xyxy)
        return Matte(cut_to(self.image, box_xyxy), cut_to(self.alpha, box_xyxy), colours)

    def cutout(self, index: int = 0) -> Image:
        """Return one frame as an RGBA picture of 8 bit, with straight alpha."""
        return to_pil(self.colours[index : index + 1], self.alpha[index : index + 1])

    def composite(self, background: Tensor | str | Sequence[int]) -> Tensor:
        """Lay the foreground over a picture (1 or B × 3×H×W) or a colour ("#rrggbb", a name, or
        three numbers from 0 to 255) → B×3×H×W. Raises BadInput.
        """
        if isinstance(background, str):
            background = parse_colour(background)
        elif isinstance(background, Sequence):
            background = colour_of(background)
        if not isinstance(background, Tensor):
            raise BadInput(
                "a background must be a colour or an image B×3×H×W",
                type(background).__name__,
                "Read a picture with `toonout_core.imaging.read(path).image`.",
            )
        return over(self.colours, self.alpha, background.to(self.image))
