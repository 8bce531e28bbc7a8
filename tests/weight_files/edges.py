"""How well the edges of a matte lie on edges of its picture."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

REACH_PX = 8  # from the matte's edges: what is farther away is background


def edge_agreement(image: Tensor, alpha: Tensor) -> float:
    """Cosine of the step heights of B×3×H×W and B×1×H×W near the matte's edges, 0 to 1."""
    in_picture, in_matte = _steps(image), _steps(alpha)
    near = F.max_pool2d(in_matte, 2 * REACH_PX + 1, 1, REACH_PX) > 0.05
    in_picture, in_matte = in_picture * near, in_matte * near
    lengths = (in_picture.square().sum() * in_matte.square().sum()).sqrt()
    return float((in_picture * in_matte).sum() / lengths.clamp(min=1e-9))


def _steps(planes: Tensor) -> Tensor:
    across = F.pad((planes[..., 1:] - planes[..., :-1]).abs(), (0, 1))
    down = F.pad((planes[..., 1:, :] - planes[..., :-1, :]).abs(), (0, 0, 0, 1))
    return (across + down).amax(1, keepdim=True)
