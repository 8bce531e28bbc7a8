"""What every node asks of pictures and masks, and one batch rule: 1 frame goes with N, N with N,
and sizes must be equal."""

from __future__ import annotations

import torch
from torch import Tensor

from ..toonout_core.errors import BadInput
from ..toonout_core.imaging import from_comfy, mask_from_comfy

EMPTY_MASK_HW = (64, 64)  # what Load Image gives for a picture without alpha


def matched(**tensors: Tensor | None) -> list[Tensor | None]:
    """B×C×H×W tensors by socket name, repeated to the longest batch without a copy; None stays.

    Raises BadInput if two batches are longer than 1 and differ.
    """
    counts = {name: len(tensor) for name, tensor in tensors.items() if tensor is not None}
    longest = max(counts.values())
    wrong = [name for name, count in counts.items() if count not in (1, longest)]
    if wrong:
        got = " and ".join(f"{count} in {name}" for name, count in counts.items())
        raise BadInput(
            "the batches must have equal length, or one of them a single frame",
            got,
            "Repeat or cut one of them.",
        )
    return [
        None if tensor is None else tensor.expand(longest, *tensor.shape[1:])
        for tensor in tensors.values()
    ]


def mask_of(picture: Tensor, mask: Tensor | None) -> Tensor | None:
    """MASK → B×1×H×W, which must have the size of `picture`, B×C×H×W.

    None stays, and so is the mask that Load Image gives for a picture without alpha.
    """
    if mask is None or says_nothing(mask_from_comfy(mask), picture):
        return None
    return needed_mask(picture, mask)


def needed_mask(picture: Tensor, mask: Tensor) -> Tensor:
    """MASK → B×1×H×W, which must be there and have the size of `picture`, B×C×H×W."""
    alpha = mask_from_comfy(mask)
    check_size(alpha, picture)
    return alpha


def says_nothing(alpha: Tensor, picture: Tensor) -> bool:
    """Whether it is the empty mask that Load Image gives for a picture without alpha."""
    of_another = tuple(picture.shape[-2:]) != EMPTY_MASK_HW == tuple(alpha.shape[-2:])
    return of_another and not bool(alpha.any())


def colours_and_alpha(
    image: Tensor, mask: Tensor | None, *, name: str = "image", is_transparency: bool = False
) -> tuple[Tensor, Tensor | None]:
    """IMAGE → B×3×H×W and B×1×H×W, equally many: the MASK, else the alpha that it has itself.

    `name`: of the image's socket; `is_transparency`: white in the mask is transparent.
    """
    picture, own = from_comfy(image)
    given = mask_of(picture, mask)
    if given is not None and is_transparency:
        given = 1 - given
    alpha = own if given is None else given
    colours, alpha = matched(**{name: picture, "mask": alpha})
    assert colours is not None
    return colours, alpha


def check_size(mask: Tensor, image: Tensor) -> None:
    """A mask that is not of its image is an error, not something to be stretched."""
    size_hw, expected_hw = tuple(mask.shape[-2:]), tuple(image.shape[-2:])
    if size_hw == expected_hw:
        return
    advice = "Connect the mask of the same picture, or resize it."
    if size_hw == EMPTY_MASK_HW:
        advice += " Load Image gives an empty 64×64 mask for a picture without alpha."
    raise BadInput(
        f"mask must have the image's size {expected_hw[1]}×{expected_hw[0]}",
        f"{size_hw[1]}×{size_hw[0]}",
        advice,
    )


def check_frames(name: str, frames: Tensor, *, takes_empty: bool) -> None:
    """BadInput for an IMAGE or MASK of `name` that is none: whole numbers, no pixels, NaN."""
    if not (frames.is_floating_point() or frames.dtype == torch.bool):
        raise BadInput(
            f"{name} must have values from 0 to 1", f"whole numbers ({_called(frames.dtype)})",
            "Divide them by the largest one first.",
        )  # fmt: skip
    if takes_empty and frames.ndim and not frames.shape[0]:
        return
    if not frames.numel():
        what = "a batch without pictures" if 0 in frames.shape[:1] else "a picture without pixels"
        raise BadInput(
            f"{name} must hold a picture of at least one pixel",
            f"{what}, shape {tuple(frames.shape)}",
            "Look at the node before this one.",
        )
    # a sum is as finite as what it is made of, and needs no memory
    if not all(bool(part.sum(dtype=torch.float64).isfinite()) for part in frames.split(1)):
        raise BadInput(
            f"{name} must hold numbers",
            "NaN or infinity in it",
            "The previous node gave invalid numbers (NaN): fp32 often helps there.",
        )


def _called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
