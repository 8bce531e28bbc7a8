"""Find characters by their centres: the built-in model's head says who is who in its matte."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..instances import Instances
from ..loading import LoadedNetwork
from ..matting import Matting
from ..models.lite_unet import LiteUNet
from ..models.lite_unet.characters import Centres, CharacterHead
from ..words import Array
from .asking import SegmentOptions
from .grouping import Groups, group
from .refining import Refiner
from .regional import RegionSegmenter
from .sharing import share_matte

ORIGIN = "centres in the matte"

_LONGEST_PX = 1024  # of the plane that is given out; more detail is the matte's alone
_HEAD_PX = 640  # side of the largest square that the head was trained on


class CentreSegmenter(RegionSegmenter):
    """Tells characters apart that touch, as its matting model also knows where characters are.

    A region of the matte that no centre explains is a character too. Scores are probabilities: of
    the characters with a score of 0.7, 70 % are right. Prompts are answered as by a
    `RegionSegmenter`.
    """

    def __init__(self, matting: Matting, refiner: Refiner | Matting | None = None) -> None:
        super().__init__(matting, refiner)
        assert has_centres(matting.loaded)

    def _matte_and_characters(
        self, frame: Tensor, options: SegmentOptions
    ) -> tuple[Tensor, Instances]:
        alpha, centres = self.look(frame)
        return alpha, self._characters(frame, alpha, centres, options)

    def group(self, alpha: Tensor, centres: Centres, options: SegmentOptions) -> Groups:
        """Group the pixels of the picture into characters, on a plane that is at most 1024 pixels
        long.
        """
        small = alpha
        longest = max(alpha.shape[-2:])
        if longest > _LONGEST_PX:
            ratio = _LONGEST_PX / longest
            size_hw = [max(round(side * ratio), 1) for side in alpha.shape[-2:]]
            small = F.interpolate(alpha, size_hw, mode="area")
        solid = (small[0, 0] > options.mask_threshold).numpy()
        return group(
            centres,
            solid,
            self.head.certainty,
            min_score=options.min_score,
            min_area=options.min_area,
        )

    @property
    def head(self) -> CharacterHead:
        """The part of the network that knows characters."""
        network = self.matting.loaded.network
        assert isinstance(network, LiteUNet)
        assert network.characters is not None
        return network.characters

    def _characters(
        self, frame: Tensor, alpha: Tensor, centres: Centres, options: SegmentOptions
    ) -> Instances:
        groups = self.group(alpha, centres, options)
        order = sorted(range(len(groups.scores)), key=lambda index: -groups.scores[index])
        kept = order[: options.limit]
        size_hw = (int(alpha.shape[-2]), int(alpha.shape[-1]))
        owners = torch.from_numpy(enlarged(groups.owners, size_hw))
        solid = alpha[0, 0] > options.mask_threshold
        masks = torch.zeros((len(kept), *size_hw), dtype=torch.bool)
        for mask, index in zip(masks, kept, strict=True):
            torch.logical_and(owners == index, solid, out=mask)
        scores = torch.tensor([groups.scores[index] for index in kept], dtype=torch.float32)
        found = Instances.from_masks(masks, scores, origin=ORIGIN)
        if not options.soft:
            return found
        rest = solid & ~found.masks.any(0)
        everything = Instances.from_masks(torch.cat((found.masks, rest[None])))
        return found.with_masks(share_matte(alpha, everything, frame).masks[:-1])

    def look(self, frame: Tensor) -> tuple[Tensor, Centres]:
        """1×3×H×W → its matte, and the maps of centres, on the CPU."""
        size_hw = self.matting.size_hw(None, (int(frame.shape[-2]), int(frame.shape[-1])))
        if max(size_hw) <= _HEAD_PX:
            return self._look(frame, size_hw)
        # the head has learnt from smaller characters: it sees the picture smaller than the matte
        _, centres = self._look(frame, (_HEAD_PX, _HEAD_PX))
        return self.matting.predict(frame).cpu(), centres

    def _look(self, frame: Tensor, size_hw: tuple[int, int]) -> tuple[Tensor, Centres]:
        alpha, centres = self.matting.look(
            frame, size_hw, lambda network, seen: network(seen, characters=True)
        )
        return alpha.cpu(), centres.to("cpu")


def has_centres(loaded: LoadedNetwork) -> bool:
    """Tell whether a network knows characters."""
    network = loaded.network
    return isinstance(network, LiteUNet) and network.characters is not None


def enlarged(owners: Array, size_hw: tuple[int, int]) -> Array:
    """Enlarge H×W of whole numbers to another size; no number lies between two of them."""
    from ..opencv import cv2

    if owners.shape == size_hw:
        return owners
    return cv2.resize(owners, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_NEAREST)
