"""Box and Gaussian blur of any size, the same numbers on every device.

Borders are mirrored without repeating the edge pixel (REFLECT_101), again and again where the
window is larger than the picture. On the CPU through OpenCV, elsewhere in torch.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..opencv import available
from ..words import Array

Result = TypeVar("Result")

# a Gaussian beyond this many standard deviations weighs less than 0.3 % together
GAUSSIAN_REACH = 3.0


def box_blur(x: Tensor, size_px: int) -> Tensor:
    """Mean of a size×size window, B×C×H×W float → float32 of the same shape.

    An even window reaches one pixel further to the left and top (anchor size // 2).
    """
    if size_px < 1:
        raise BadInput("size_px must be at least 1", str(size_px))
    if size_px == 1:
        return x.to(torch.float32)
    return box_blur_cpu(x, size_px) if through_opencv(x) else box_blur_torch(x, size_px)


def gaussian_blur(x: Tensor, sigma_px: float) -> Tensor:
    """Gaussian of standard deviation sigma_px, cut at 3 sigma; B×C×H×W float → float32."""
    if sigma_px < 0:
        raise BadInput("sigma_px must not be negative", str(sigma_px))
    if sigma_px == 0:
        return x.to(torch.float32)
    blur = gaussian_blur_cpu if through_opencv(x) else gaussian_blur_torch
    return blur(x, sigma_px)


def through_opencv(x: Tensor) -> bool:
    """Tell whether OpenCV is the quicker way: on the CPU, if it loads at all."""
    return x.device.type == "cpu" and available()


# ---------------------------------------------------------------- OpenCV


def box_blur_cpu(x: Tensor, size_px: int) -> Tensor:
    """Do what `box_blur` does, by cv2.blur, whose running sums are float64: one plane after
    the other.
    """
    from ..opencv import cv2

    def blur(source: Array, target: Array) -> None:
        cv2.blur(source, (size_px, size_px), dst=target)

    return _map_planes(blur, x)


def gaussian_blur_cpu(x: Tensor, sigma_px: float) -> Tensor:
    """Do what `gaussian_blur` does, by cv2.sepFilter2D."""
    from ..opencv import cv2

    taps = np.array(_gaussian_weights(sigma_px), np.float32)

    def blur(source: Array, target: Array) -> None:
        cv2.sepFilter2D(source, -1, taps, taps, dst=target)

    return _map_planes(blur, x)


def _map_planes(function: Callable[[Array, Array], None], x: Tensor) -> Tensor:
    """Call function(source H×W, target H×W) for every plane; OpenCV lets other threads run
    meanwhile.
    """
    source = x.detach().to(torch.float32)
    if source.stride(-1) != 1:
        source = source.contiguous()
    # numpy asks the system for large pages, torch does not: half of the time of a large result
    target = np.empty((source.shape[0] * source.shape[1], *source.shape[2:]), np.float32)
    run_parallel(function, list(zip(source.flatten(0, 1).numpy(), target, strict=True)))
    return torch.from_numpy(target).view(source.shape)


def run_parallel(work: Callable[..., object], tasks: Sequence[tuple[Any, ...]]) -> None:
    """Call work(*task) for every task, on as many threads as torch may use.

    Work that runs on one of these threads starts no further ones.
    """
    workers = min(torch.get_num_threads(), len(tasks))
    if workers < 2 or getattr(_thread, "is_worker", False):
        for task in tasks:
            work(*task)
        return
    with ThreadPoolExecutor(workers, initializer=_mark_worker) as pool:
        for future in [pool.submit(work, *task) for task in tasks]:
            future.result()


def in_order(work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
    """work(*task) of every task, in their order, on as many threads as torch may use; only one
    result a thread is made in advance. See `run_parallel`."""
    workers = min(torch.get_num_threads(), len(tasks))
    if workers < 2 or getattr(_thread, "is_worker", False):
        for task in tasks:
            yield work(*task)
        return
    with ThreadPoolExecutor(workers, initializer=_mark_worker) as pool:
        ahead: deque[Future[Result]] = deque()
        for task in tasks:
            ahead.append(pool.submit(work, *task))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


_thread = threading.local()


def _mark_worker() -> None:
    _thread.is_worker = True


# ---------------------------------------------------------------- torch


def box_blur_torch(x: Tensor, size_px: int) -> Tensor:
    """Do what `box_blur` does, on any device: some 4·log2(size) additions a pixel, no
    running sum.
    """
    padded = _pad(x.to(torch.float32), size_px // 2, size_px - 1 - size_px // 2)
    columns = _window_sum(padded, size_px, -2).div_(size_px)
    return _window_sum(columns, size_px, -1).div_(size_px)


def gaussian_blur_torch(x: Tensor, sigma_px: float) -> Tensor:
    """Do what `gaussian_blur` does, on any device."""
    weights = _gaussian_weights(sigma_px)
    taps = torch.tensor(weights, dtype=torch.float32, device=x.device)
    reach = len(weights) // 2
    planes = _pad(x.to(torch.float32), reach, reach).flatten(0, 1)[:, None]
    planes = torch.nn.functional.conv2d(planes, taps.view(1, 1, -1, 1))
    return torch.nn.functional.conv2d(planes, taps.view(1, 1, 1, -1)).view(x.shape)


def _window_sum(x: Tensor, size: int, dim: int) -> Tensor:
    """Sum `size` neighbours. Sums of 1, 2, 4, … are made by doubling, and those of size's bits are
    added.
    """
    length = x.shape[dim] - size + 1
    total: Tensor | None = None
    offset, span = 0, 1
    while True:
        if size & span:
            piece = x.narrow(dim, offset, length)
            total = piece.clone() if total is None else total.add_(piece)
            offset += span
        if 2 * span > size:
            assert total is not None
            return total
        rest = x.shape[dim] - span
        x = x.narrow(dim, 0, rest) + x.narrow(dim, span, rest)
        span *= 2


def _pad(x: Tensor, before: int, after: int) -> Tensor:
    """Mirror both axes by `before` and `after` pixels."""
    rows = torch.tensor(mirror_indices(x.shape[-2], before, after), device=x.device)
    columns = torch.tensor(mirror_indices(x.shape[-1], before, after), device=x.device)
    return x.index_select(-2, rows).index_select(-1, columns)


def mirror_indices(length: int, before: int, after: int) -> list[int]:
    """Return the source positions of −before … length+after−1 under REFLECT_101."""
    period = max(2 * (length - 1), 1)
    folded = (index % period for index in range(-before, length + after))
    return [min(index, period - index) if length > 1 else 0 for index in folded]


def _gaussian_weights(sigma_px: float) -> list[float]:
    reach = math.ceil(GAUSSIAN_REACH * sigma_px)
    weights = [math.exp(-0.5 * (i / sigma_px) ** 2) for i in range(-reach, reach + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]
