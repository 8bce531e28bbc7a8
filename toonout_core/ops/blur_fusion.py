"""Blur fusion (Forte 2021; two passes: Photoroom): the colours of the foreground alone.

I = αF + (1−α)B has two unknown colours. One pass takes local means of both, weighted by α and
1−α, and adds what is missing to explain I. With box_r the mean over r×r pixels and ε = 1e-5:

    F̄ = box_r(F·α) / (box_r(α) + ε)      B̄ = box_r(B·(1−α)) / (box_r(1−α) + ε)
    F′ = clip(F̄ + α·(I − α·F̄ − (1−α)·B̄), 0, 1)

starting from F = B = I; the next pass starts from F′ and B̄. With n = 1−α the last line equals

    F′ = clip(αI + n·(1+α)·F̄ − α·(n·B̄), 0, 1)

which is I itself where α = 1, and shares αI and n·B̄ with the blurs' inputs. It runs in windows:
bands of rows, each with a halo that makes its cut edges harmless. On the CPU a band is cut once
more, and its columns without any alpha, or with α ≈ 1 alone, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..words import Array
from .blur import box_blur_torch, in_order, run_parallel, through_opencv

Window = tuple[slice, slice]
Improve = Callable[[int, slice, Tensor], None]

EPSILON = 1e-5
# α below half a level of 8 bit is written as 0
TRANSPARENT = 1 / 510
# α above half a level below 1 of 16 bit: F′ is I within 3e-5
OPAQUE = 1 - 1 / 131070
# a last window whose mean α is below this holds hardly more than such α
UNREACHED = 2e-3
# rows of one band: few, so that its planes stay near the processor; the halo adds to them
BAND_ROWS = 256
# and pixels: every thread keeps some planes of a band
BAND_PIXELS = 1 << 20
# windows up to this are summed anew for every pixel
SMALL_WINDOW_PX = 7
# a band is cut to the columns that are open if they, and what is beside them, are less than this
# share of it: whole rows lie together in memory, and are quicker than a little less of each
WORTH_CUTTING = 0.7
# pixels on which arithmetic is done at a time, so that they stay in the processor's cache
CACHE_PIXELS = 1 << 16


def blur_fusion(
    image: Tensor,
    alpha: Tensor,
    radius_px: int,
    refine_radius_px: int,
    improve: Improve | None = None,
    *,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:
    """B×3×H×W and B×1×H×W in [0, 1] → (foreground B×3×H×W float32, unreached B×1×H×W bool).

    `unreached` pixels are transparent with no alpha near them: there the formula has no answer.
    `improve(item, rows, colours)` may change the foreground 3×h×W of a band of rows in place.
    `overwrite`: the foreground takes the memory of `image`, which must be float32 then.
    """
    fuse = blur_fusion_cpu if through_opencv(image) else blur_fusion_torch
    return fuse(image, alpha, radius_px, refine_radius_px, improve, overwrite=overwrite)


def _places(image: Tensor, sizes_px: tuple[int, int]) -> list[tuple[int, slice]]:
    """Bands of every picture, large enough that a band is seen by its neighbours alone."""
    height, width = image.shape[-2:]
    parts = bands(height, width, max(sizes_px) + 2)
    return [(item, band) for item in range(len(image)) for band in parts]


def _put(results: Iterable[tuple[int, slice, Tensor]], foreground: Tensor) -> None:
    """Write bands into `foreground` in their order, each once the next one is there.

    Where `foreground` is the picture itself, two neighbouring bands are made of each other's rows.
    """
    waiting: list[tuple[int, slice, Tensor]] = []
    for result in results:
        waiting.append(result)
        if len(waiting) > 1:
            _put_one(waiting.pop(0), foreground)
    for result in waiting:
        _put_one(result, foreground)


def _put_one(result: tuple[int, slice, Tensor], foreground: Tensor) -> None:
    item, band, colours = result
    foreground[item, :, band] = colours


def bands(height: int, width: int, radius_px: int) -> list[slice]:
    """Cut the height into slices of rows."""
    rows = max(min(BAND_ROWS, BAND_PIXELS // width, height // 4), radius_px, 128)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _widen(part: slice, window_px: int, length: int) -> slice:
    """Return `part` and all that box windows over it see, within 0 … length."""
    margin = window_px // 2 + 1 if window_px else 0
    return slice(max(0, part.start - margin), min(length, part.stop + margin))


def _within(inner: slice, outer: slice) -> slice:
    """Return `inner` counted from the start of `outer`."""
    return slice(inner.start - outer.start, inner.stop - outer.start)


# ---------------------------------------------------------------- OpenCV and numpy


def blur_fusion_cpu(
    image: Tensor,
    alpha: Tensor,
    radius_px: int,
    refine_radius_px: int,
    improve: Improve | None = None,
    *,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:
    """Do what `blur_fusion` does, by cv2.blur, a band on each thread."""
    pictures = image.detach().to(torch.float32).numpy()
    alphas = alpha.detach().to(torch.float32).numpy()
    # numpy asks the system for large pages, torch does not: a good part of the time at 4096²
    foreground = pictures if overwrite else np.empty(image.shape, np.float32)
    unreached = np.empty(alpha.shape, np.bool_)
    memory: list[_Memory] = []

    def work(item: int, band: slice) -> tuple[int, slice, Tensor]:
        mine = memory.pop() if memory else _Memory()
        target, empty = foreground[item, :, band], unreached[item, 0, band]
        colours = np.empty_like(target) if overwrite else target
        runs = _open_columns(alphas[item, 0], band, (radius_px, refine_radius_px))
        for beside in _between(runs, image.shape[-1]):
            opaque = alphas[item, 0, band.start, beside.start] >= OPAQUE
            colours[..., beside] = pictures[item, :, band, beside] if opaque else 0
            empty[:, beside] = not opaque
        for columns in runs:
            _fuse_window(
                pictures[item],
                alphas[item, 0],
                (band, columns),
                (radius_px, refine_radius_px),
                (colours[..., columns], empty[:, columns]),
                mine,
            )
        memory.append(mine)
        result = torch.from_numpy(colours)
        if improve is not None:
            improve(item, band, result)
        return item, band, result

    places = _places(image, (radius_px, refine_radius_px))
    if overwrite:
        _put(in_order(work, places), torch.from_numpy(foreground))
    else:
        run_parallel(work, places)
    return torch.from_numpy(foreground), torch.from_numpy(unreached)


def _open_columns(alpha: Array, band: slice, sizes_px: tuple[int, int]) -> list[slice]:
    """Return the columns of a band that must be computed, as runs.

    All columns of a gap between two runs are opaque, or all are unreached.
    """
    height, width = alpha.shape
    last_px, halo = sizes_px[1] or sizes_px[0], sum(sizes_px)
    present = alpha[_widen(band, last_px, height)].max(axis=0) >= TRANSPARENT
    reached = np.zeros(width, np.bool_)
    for run in _runs(present):
        reached[_widen(run, last_px, width)] = True
    runs: list[slice] = []
    for run in _runs(reached & (alpha[band].min(axis=0) < OPAQUE)):
        if runs and run.start - runs[-1].stop < 2 * halo:
            run = slice(runs.pop().start, run.stop)
        runs.append(run)
    needed = sum(run.stop - run.start + halo for run in runs)
    return runs if needed < WORTH_CUTTING * width else [slice(0, width)]


def _runs(mask: Array) -> list[slice]:
    """Return where a row of booleans is true."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)
    return [slice(start, stop) for start, stop in edges.tolist()]


def _between(runs: list[slice], length: int) -> list[slice]:
    """Return what `runs` leave of 0 … length."""
    starts = [0, *(run.stop for run in runs)]
    stops = [*(run.start for run in runs), length]
    return [slice(a, b) for a, b in zip(starts, stops, strict=True) if a < b]


class _Memory:
    """Planes of one thread, used again for every window."""

    COUNT = 9

    def __init__(self) -> None:
        self._data = np.empty(0, np.float32)

    def planes(self, height: int, width: int) -> Array:
        """Return COUNT×height×width of unknown content."""
        size = self.COUNT * height * width
        if self._data.size < size:
            self._data = np.empty(0, np.float32)
            self._data = np.empty(size, np.float32)
        return self._data[:size].reshape(self.COUNT, height, width)


def _box(source: Array, size_px: int, target: Array) -> None:
    """Compute the box mean of a plane. For a small window plain sums are quicker than
    running ones.
    """
    from ..opencv import cv2

    if size_px <= SMALL_WINDOW_PX:
        taps = np.full(size_px, 1 / size_px, np.float32)
        cv2.sepFilter2D(source, -1, taps, taps, dst=target)
    else:
        cv2.blur(source, (size_px, size_px), dst=target)


class _Pass:
    """One pass over a window. What depends on alpha alone is computed once for the three colours.

    α and n = 1−α are H×W; results are wanted for the pixels `inside` only.
    """

    def __init__(
        self, a: Array, n: Array, size_px: int, inside: Window, planes: list[Array], last: bool
    ) -> None:
        _box(a, size_px, planes[0])
        _box(n, size_px, planes[1])
        self._alpha, n = a[inside], n[inside]
        self._weight_f, self._weight_b = planes[0][inside], planes[1][inside]
        if last:
            self.unreached = (self._alpha < TRANSPARENT) & (self._weight_f < UNREACHED)
        self._scratch = np.empty_like(n[next(_chunks(n))])
        for r in _chunks(n):
            # F′ = αI + n·(1+α)·F̄ − α·(n·B̄), where F̄ and B̄ are box means over these weights:
            # weight_f = n·(1+α) / (box(α)+ε), weight_b = n / (box(n)+ε);
            # the last pass wants α·n·B̄ only, so that its weight_b has the factor α already
            weight_f, weight_b = self._weight_f[r], self._weight_b[r]
            weight_f += EPSILON
            np.divide(n[r], weight_f, out=weight_f)
            weight_f += self._product(weight_f, self._alpha[r])
            weight_b += EPSILON
            np.divide(n[r], weight_b, out=weight_b)
            if last:
                weight_b *= self._alpha[r]

    def explain(self, seen: Array, mean_f: Array, mean_b: Array) -> None:
        """Turn `mean_f` = box(F·α) into F′·α, and `mean_b` = box(B·n) into n·B̄; `seen` is αI.

        These two are what the next pass blurs: its F is F′, and its B·n is n·B̄.
        """
        for r in _chunks(seen):
            result, alpha = mean_f[r], self._alpha[r]
            mean_b[r] *= self._weight_b[r]
            result *= self._weight_f[r]
            result += seen[r]
            result -= self._product(mean_b[r], alpha)
            np.clip(result, 0, 1, out=result)
            result *= alpha

    def _product(self, x: Array, y: Array) -> Array:
        return np.multiply(x, y, out=self._scratch[: len(x)])

    def finish(self, seen: Array, mean_f: Array, mean_b: Array, target: Array) -> None:
        """Write F′ into `target`, from the same planes as `explain`; it is not multiplied by α."""
        for r in _chunks(seen):
            result = target[r]
            np.multiply(mean_f[r], self._weight_f[r], out=result)
            result += seen[r]
            mean_b[r] *= self._weight_b[r]
            result -= mean_b[r]
            np.clip(result, 0, 1, out=result)


def _chunks(plane: Array) -> Iterator[slice]:
    height, width = plane.shape
    step = max(CACHE_PIXELS // width, 1)
    for top in range(0, height, step):
        yield slice(top, top + step)


def _fuse_window(
    image: Array,
    alpha: Array,
    window: Window,
    sizes_px: tuple[int, int],
    targets: tuple[Array, Array],
    memory: _Memory,
) -> None:
    """Write the foreground 3×h×w and unreached h×w of one window into `targets`.

    `image` 3×H×W and `alpha` H×W are whole; `window` is a part of them.
    """
    size, refine = sizes_px
    # window ⊂ inner ⊂ outer: the second pass sees inner, and for that the first pass sees outer.
    # `middle` is inner as seen from outer, `centre` is window as seen from inner
    inner = _map2(lambda part, length: _widen(part, refine, length), window, alpha.shape)
    outer = _map2(lambda part, length: _widen(part, size, length), inner, alpha.shape)
    middle, centre = _map2(_within, inner, outer), _map2(_within, window, inner)
    a = alpha[outer]
    # nine planes: n, αI, nI, two means, and the two weights of each pass
    n, seen, unseen, mean_f, mean_b, *weights = memory.planes(*a.shape)
    np.subtract(1, a, out=n)
    first = last = _Pass(a, n, size, middle, weights[:2], not refine)
    a_inner, seen_inner, f, b = (plane[middle] for plane in (a, seen, mean_f, mean_b))
    # what the second pass needs lies in corners of planes that the first pass is done with: its
    # mean of F takes that of nI. Its mean of B takes the corner of mean_f, which _box(f) has read
    corner = tuple(slice(0, length) for length in a_inner.shape)
    f2, b2, *weights = (plane[corner] for plane in (unseen, mean_f, *weights[2:]))
    if refine:
        last = _Pass(a_inner, n[middle], refine, centre, weights, True)
    targets[1][...] = last.unreached
    for colour, target in zip(image, targets[0], strict=True):
        for r in _chunks(a):
            np.multiply(colour[outer][r], a[r], out=seen[r])
            np.multiply(colour[outer][r], n[r], out=unseen[r])
        _box(seen, size, mean_f)
        _box(unseen, size, mean_b)
        if not refine:
            last.finish(seen_inner, f, b, target)
            continue
        first.explain(seen_inner, f, b)
        _box(f, refine, f2)
        _box(b, refine, b2)
        last.finish(seen_inner[centre], f2[centre], b2[centre], target)


def _map2(
    function: Callable[[slice, Any], slice], window: Window, others: tuple[Any, ...]
) -> Window:
    return function(window[0], others[0]), function(window[1], others[1])


# ---------------------------------------------------------------- torch


def blur_fusion_torch(
    image: Tensor,
    alpha: Tensor,
    radius_px: int,
    refine_radius_px: int,
    improve: Improve | None = None,
    *,
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:
    """Do what `blur_fusion` does, on any device."""
    foreground = image if overwrite else torch.empty_like(image, dtype=torch.float32)
    unreached = torch.empty(alpha.shape, dtype=torch.bool, device=image.device)

    def work(item: int, band: slice) -> tuple[int, slice, Tensor]:
        one = slice(item, item + 1)
        colours, unreached[one, :, band] = _fuse_band_torch(
            image[one], alpha[one], band, radius_px, refine_radius_px
        )
        if improve is not None:
            improve(item, band, colours[0])
        return item, band, colours[0]

    places = _places(image, (radius_px, refine_radius_px))
    _put((work(*place) for place in places), foreground)
    return foreground, unreached


def _fuse_band_torch(
    image: Tensor, alpha: Tensor, band: slice, radius_px: int, refine_radius_px: int
) -> tuple[Tensor, Tensor]:
    inner = _widen(band, refine_radius_px, image.shape[-2])
    outer = _widen(inner, radius_px, image.shape[-2])
    colours, a = image[:, :, outer].to(torch.float32), alpha[:, :, outer].to(torch.float32)
    n = 1 - a
    means = box_blur_torch(torch.cat((a, n, colours * a, colours * n), 1), radius_px)
    rows = _within(inner, outer)
    a, n, seen, means = (x[:, :, rows] for x in (a, n, colours * a, means))
    foreground, background = _explain_torch(a, n, seen, means)
    if refine_radius_px:
        means = box_blur_torch(torch.cat((a, n, foreground * a, background), 1), refine_radius_px)
        rows = _within(band, inner)
        a, n, seen, means = (x[:, :, rows] for x in (a, n, seen, means))
        foreground, _ = _explain_torch(a, n, seen, means)
    return foreground, (a < TRANSPARENT) & (means[:, :1] < UNREACHED)


def _explain_torch(a: Tensor, n: Tensor, seen: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    """Return F′ and n·B̄ from αI and the means of α, n, F·α (3 planes) and B·n (3 planes)."""
    background = n / (means[:, 1:2] + EPSILON) * means[:, 5:8]
    weight = (1 + a) * n / (means[:, :1] + EPSILON)
    foreground = torch.addcmul(seen, means[:, 2:5], weight)
    return foreground.addcmul_(background, a, value=-1).clamp_(0, 1), background
