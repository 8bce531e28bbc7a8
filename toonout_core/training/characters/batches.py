"""Make batches of scenes for the head. Batch `i` depends on nothing but the seed and `i`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...imaging import from_array
from ...models.lite_unet.characters import STRIDE
from ...words import Array
from ..data import EpochBatches
from ..instance_config import CharactersConfig
from ..labelled_scenes import LabelledScene
from ..rtmdet.mosaics import change_colours

Generator = np.random.Generator
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Owned:
    """A picture H×W×3 and, for every pixel, who is seen there: 0 nobody, i + 1 character i."""

    picture: Array
    owners: Array
    rng: Generator


class CharacterScenes(EpochBatches[LabelledScene, CharactersConfig, Batch]):
    """Images B×3×S×S in [0, 1], and owners B×S/4×S/4 int64 of every cell: 0 is nobody."""

    def sample(self, epoch: int, number: int) -> Owned:
        """Return one scene, uncut: its batch decides the size."""
        rng = np.random.default_rng((self.config.seed, epoch, number, 3))
        picture, owners = owners_of(self.examples[number])
        if self.config.colours:
            picture = change_colours(rng, picture)
        return Owned(picture, owners, rng)

    def joined(self, samples: list[Owned]) -> Batch:
        """Cut all scenes to one size, which the first one draws by chance."""
        side = int(samples[0].rng.choice(self.config.sizes_px))
        pairs = [cut(sample, side, self.config) for sample in samples]
        images = from_array(np.stack([picture for picture, _ in pairs]))
        owners = torch.from_numpy(np.stack([owner for _, owner in pairs]).astype(np.int64))
        return images, owners


def owners_of(scene: LabelledScene) -> tuple[Array, Array]:
    """Return the picture H×W×3 and owners H×W, uint8. The last of several masks owns a pixel, and
    characters with a box alone own none."""
    owners = np.zeros(scene.size_hw, np.uint8)
    for number, index in enumerate(scene.with_masks, 1):
        owners[scene.mask(index) > 0] = number
    return scene.pixels(), owners


def cut(sample: Owned, side: int, config: CharactersConfig) -> tuple[Array, Array]:
    """Return a part of the scene as side×side×3, and its owners at a quarter of that size.

    The scene is squashed to a square first, as it is before inference.
    """
    from ...opencv import cv2

    rng = sample.rng
    zoom = np.exp(rng.uniform(0, np.log(config.zoom)))
    stretch = rng.uniform(0, config.stretch)
    enlarged = np.array([zoom, zoom])
    enlarged[int(rng.integers(2))] *= np.exp(stretch)
    height, width = sample.picture.shape[:2]
    scale = side * enlarged / (width, height)
    shift = rng.uniform(0, 1, 2) * side * (1 - enlarged)
    if rng.random() < config.flip:
        # x' = side - (scale x + shift)
        matrix = np.array([[-scale[0], 0, side - shift[0]], [0, scale[1], shift[1]]])
    else:
        matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    picture = cv2.warpAffine(
        _softened(sample.picture, float(scale.min())),
        _at_centres(matrix),
        (side, side),
        borderMode=cv2.BORDER_REPLICATE,
    )
    cells = side // STRIDE
    owners = cv2.warpAffine(
        sample.owners, _at_centres(matrix / STRIDE), (cells, cells), flags=cv2.INTER_NEAREST
    )
    return picture, owners


def _softened(picture: Array, scale: float) -> Array:
    """Blur what will be made smaller, because warpAffine does not average."""
    from ...opencv import cv2

    return picture if scale > 0.85 else cv2.GaussianBlur(picture, (0, 0), 0.35 / scale)


def _at_centres(matrix: Array) -> Array:
    """Change a matrix for places counted from pixels' edges into one for their centres."""
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    return moved
