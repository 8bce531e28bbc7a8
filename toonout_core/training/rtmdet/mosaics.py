"""Change pictures and masks for RTMDet's training: four in one, scaled, cut, mixed, mirrored.

After C. Lyu and others, RTMDet, arXiv:2212.07784, table 6, and YOLOX, arXiv:2107.08430.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...words import Array
from ..labelled_scenes import Labels

Generator = np.random.Generator
Labelled = tuple[Array, Labels]
Change = Callable[[Array], Array]

FILL = 114  # grey beside the picture
_HALF = 127  # of 255
_MIDDLE = (0.5, 1.5)  # where four pictures meet, in sides of one of them
_HUE, _SATURATION, _VALUE = 5, 30, 30  # largest changes, hue in steps of 2 degrees


@dataclass(frozen=True)
class Frame:
    """Says what is cut from a scaled picture: x' = `scale`·x − `left`, mirrored within `width` if
    `flip`. All beyond `width` and `height` is padding."""

    scale: float
    left: int
    top: int
    width: int
    height: int
    flip: bool

    def matrix(self, ratio: float, x: float, y: float) -> Array:
        """Return the 2×3 matrix, for places of pixels' centres, of a picture that was enlarged by
        `ratio` and lies at (x, y) before the cut."""
        total = ratio * self.scale
        shift_x, shift_y = x * self.scale - self.left, y * self.scale - self.top
        across = np.array([total, 0.0, shift_x])
        if self.flip:
            across = np.array([-total, 0.0, self.width - shift_x])
        down = np.array([0.0, total, shift_y])
        matrix = np.stack((across, down))
        matrix[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
        return matrix


def draw_frame(
    rng: Generator, size_hw: tuple[int, int], side: int, scales: tuple[float, float], flip: float
) -> Frame:
    """Draw a cut, at most `side` long, of a picture of `size_hw`. Scale and place are by chance."""
    scale = float(rng.uniform(*scales))
    height, width = (max(int(length * scale + 0.5), 1) for length in size_hw)
    top = int(rng.integers(max(height - side, 0) + 1))
    left = int(rng.integers(max(width - side, 0) + 1))
    mirrored = bool(rng.random() < flip)
    return Frame(scale, left, top, min(width, side), min(height, side), mirrored)


def as_it_is(picture: Array) -> Array:
    """Leave the colours as they are."""
    return picture


def four_in_one(
    rng: Generator,
    pictures: Sequence[Labelled],
    side: int,
    scales: tuple[float, float],
    flip: float,
    change: Change = as_it_is,
) -> Labelled:
    """Join four pictures that meet in a point, each `side` long → `side`×`side`, then `change`."""
    middle_x, middle_y = (int(rng.uniform(*_MIDDLE) * side) for _ in range(2))
    frame = draw_frame(rng, (2 * side, 2 * side), side, scales, flip)
    tiles: list[tuple[Labelled, Array]] = []
    for number, picture in enumerate(pictures):
        height, width = picture[0].shape[:2]
        ratio = side / max(height, width)
        x = middle_x if number % 2 else middle_x - width * ratio
        y = middle_y if number // 2 else middle_y - height * ratio
        tiles.append((picture, frame.matrix(ratio, x, y)))
    return draw(tiles, side, frame, change)


def one(
    rng: Generator,
    picture: Labelled,
    side: int,
    scales: tuple[float, float],
    flip: float,
    change: Change = as_it_is,
) -> Labelled:
    """Cut `side`×`side` out of one picture. Its longer side is `side` before it is scaled."""
    height, width = picture[0].shape[:2]
    ratio = side / max(height, width)
    frame = draw_frame(rng, (round(height * ratio), round(width * ratio)), side, scales, flip)
    return draw([(picture, frame.matrix(ratio, 0, 0))], side, frame, change)


def draw(
    tiles: Sequence[tuple[Labelled, Array]], side: int, frame: Frame, change: Change = as_it_is
) -> Labelled:
    """Lay pictures and masks on grey, each by its matrix. Who is not seen has an empty mask.

    Nothing is averaged where it becomes smaller, just as before inference.
    """
    from ...opencv import cv2

    canvas = np.full((side, side, 3), FILL, np.uint8)
    masks: list[Array] = []
    known: list[Array] = []
    for (picture, labels), matrix in tiles:
        rows, columns = _area(picture, matrix, side)

        def placed(plane: Array, matrix: Array = matrix) -> Array:
            # the picture's last pixels reach to its edge
            return cv2.warpAffine(plane, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)

        canvas[rows, columns] = placed(picture)[rows, columns]
        for mask in labels.masks:
            plane = np.zeros((side, side), np.uint8)
            plane[rows, columns] = placed(255 * mask)[rows, columns] > _HALF
            masks.append(plane)
        known.append(labels.known)
    canvas = change(canvas)
    # padding stays what it is before inference
    canvas[frame.height :] = FILL
    canvas[:, frame.width :] = FILL
    planes = np.stack(masks) if masks else np.zeros((0, side, side), np.uint8)
    planes[:, frame.height :] = 0
    planes[:, :, frame.width :] = 0
    return canvas, Labels(planes, np.concatenate(known))


def _area(picture: Array, matrix: Array, side: int) -> tuple[slice, slice]:
    """Rows and columns of the canvas whose centres lie in the picture."""
    areas: list[slice] = []
    for axis, length in ((1, picture.shape[0]), (0, picture.shape[1])):
        scale, shift = float(matrix[axis, 1 if axis else 0]), float(matrix[axis, 2])
        low, high = sorted((shift - scale / 2, shift + scale * (length - 0.5)))
        start = min(max(math.ceil(low), 0), side)
        areas.append(slice(start, max(min(math.floor(high) + 1, side), start)))
    return areas[0], areas[1]


def mix(first: Labelled, second: Labelled) -> Labelled:
    """Lay one picture over the other, half transparent. The characters of both are the truth."""
    half = (first[0].astype(np.uint16) + second[0] + 1) >> 1
    masks = np.concatenate((first[1].masks, second[1].masks))
    known = np.concatenate((first[1].known, second[1].known))
    return half.astype(np.uint8), Labels(masks, known)


def change_colours(rng: Generator, picture: Array) -> Array:
    """Change hue, saturation and value of H×W×3 uint8, each in half of the cases."""
    from ...opencv import cv2

    limits = np.array([_HUE, _SATURATION, _VALUE])
    gains = (rng.uniform(-1, 1, 3) * limits * rng.integers(0, 2, 3)).astype(np.int16)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.int16) + gains
    # OpenCV keeps a hue as half of its degrees
    hsv[..., 0] %= 180
    return cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
