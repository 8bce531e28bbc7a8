"""What only a GPU can show, each as a function from a `Bench` to figures.

On the CPU the same functions run with tiny networks, so that nothing is tried on a GPU for the
first time; figures that mean nothing there have no verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from tools.bench_networks import DTYPES, random_state
from tools.gpu_bench import (
    MATTING,
    MINI,
    Bench,
    Figure,
    alpha,
    apart,
    exact,
    judged,
    matting_network,
    others,
    precise,
    tensors,
)
from toonout_core import Matting, estimate_foreground
from toonout_core.evaluation.peak_memory import peak_memory
from toonout_core.host import LocalHost
from toonout_core.models import folding
from toonout_core.ops import deform_conv

HALVES = ("fp16", "bf16")

# ------------------------------------------------------------------ checks


def parity(bench: Bench) -> Iterator[Figure]:
    """The same numbers as on the CPU."""
    cpu, side = torch.device("cpu"), 512 if bench.full else 64
    image = bench.picture(side=side)
    for name in MATTING:
        loaded = matting_network(name, bench)
        wanted = alpha(loaded, image, cpu)
        with exact():
            got = alpha(loaded, image, bench.device)
        yield judged(f"{name}: alpha", float((got - wanted).abs().max()), 1e-3)
        quick = float((alpha(loaded, image, bench.device) - wanted).abs().max())
        yield Figure(f"{name}: alpha, TF32 as PyTorch has it", f"{quick:.2g}")
    for name, network, seen in others(bench):
        with torch.inference_mode(), exact():
            wanted_all = tensors(network(seen))
            got_all = tensors(network.to(bench.device)(seen.to(bench.device)))
        worst = max(map(apart, got_all, wanted_all))
        yield judged(f"{name}: outputs, relative", worst, 1e-3)
    image, matte = bench.picture(side=4 * side), bench.picture(side=4 * side)[:, :1]
    matte = ((matte - 0.4) * 4).clamp(0, 1)
    wanted = estimate_foreground(image, matte)
    got = estimate_foreground(image.to(bench.device), matte.to(bench.device)).cpu()
    yield judged("foreground", float((got - wanted).abs().max()), 1 / 255)


def half_precision(bench: Bench) -> Iterator[Figure]:
    """How far fp16 and bf16 are from fp32 on the device. Only trained weights are judged."""
    side = 512 if bench.full else 64
    for name in MATTING:
        loaded = matting_network(name, bench)
        image = bench.picture(side=side)
        with exact():
            wanted = alpha(loaded, image, bench.device)
        for dtype in HALVES:
            off = (alpha(loaded, image, bench.device, dtype) - wanted).abs()
            mean, most = float(off.mean()), float(off.max())
            limit = {"fp16": 1e-3, "bf16": 1e-2}[dtype]
            finite = mean == mean
            told = f"{mean:.2g} on average, {most:.2g} at most"
            ok = mean <= limit if name == MINI else None if finite else False
            yield Figure(f"{name}: {dtype}", told, f"≤ {limit:g} on average" if ok else "", ok)


def halving(bench: Bench) -> Iterator[Figure]:
    """When memory runs out the frames at a time are halved, and the result is the same."""
    loaded = matting_network(MINI, bench)
    frames = bench.picture(8, side=512 if bench.full else 64)
    frames = (frames + torch.linspace(0, 0.5, 8).view(8, 1, 1, 1)) / 1.5  # no two alike
    network, asked = loaded.network, list[int]()
    with exact():
        wanted = alpha(loaded, frames, bench.device)
        host = LocalHost(str(bench.device), [], quiet=True)
        network.to(bench.device)
        watch = network.register_forward_pre_hook(lambda _, given: asked.append(len(given[0])))
        try:
            with _room_for_three(bench, network, frames):
                asked.clear()
                matting = Matting(loaded, host, resolution=frames.shape[-1])
                got = matting.predict(frames, frames_per_step=8).cpu()
        finally:
            watch.remove()
    yield Figure("frames at a time", ", ".join(map(str, asked)), "8, then fewer", (
        asked[0] == 8 and asked[-1] < 8 and sum(asked) > 8
    ))  # fmt: skip
    yield judged("alpha, against one frame at a time", float((got - wanted).abs().max()), 1e-3)


@contextmanager
def _room_for_three(bench: Bench, network: nn.Module, frames: Tensor) -> Iterator[None]:
    """Memory for no more than about three frames: really on CUDA, else as if."""
    if bench.device.type != "cuda":

        def refuse(_: nn.Module, given: tuple[Tensor]) -> None:
            if len(given[0]) > 3:
                raise torch.cuda.OutOfMemoryError("out of memory")

        hook = network.register_forward_pre_hook(refuse)
        try:
            yield
        finally:
            hook.remove()
        return
    device = bench.device
    bench.tidy()
    before = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode():
        network(frames[:1].to(device))
    needed = torch.cuda.max_memory_reserved(device) - before
    bench.tidy()
    held = torch.cuda.memory_reserved(device)
    whole = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((held + 3.5 * needed) / whole, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def folded(bench: Bench) -> Iterator[Figure]:
    """Layers that are folded into one give what they give one after the other."""
    chance = torch.Generator().manual_seed(7)
    width, side = (256, 128) if bench.full else (8, 16)
    conv, norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
    state = random_state({**conv.state_dict(), **norm.state_dict(prefix="norm.")})
    conv.load_state_dict({key: state[key] for key in ("weight", "bias")})
    norm.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("norm.")}, False)
    x = torch.randn(1, width, side, side, generator=chance).to(bench.device)
    first, second = torch.randn(2, 16, 3, 3, 3, generator=chance).to(bench.device) / 5
    second = second.transpose(0, 1)[:1].repeat(1, 1, 1, 1)
    conv, norm = conv.to(bench.device), norm.train(False).to(bench.device)
    with torch.inference_mode(), exact():
        wanted = norm.double()(conv.double()(x.double()))
        conv.float()
        norm.float()
        got = folding.conv_norm(conv, norm, x.split(width // 2, 1))
        yield judged("convolution and norm, relative", apart(got, wanted), 1e-4)
        assert norm.running_var is not None
        norm.running_var *= 1e5  # more than fp16 holds
        weight, bias = folding.fold_norm(conv.weight, conv.bias, norm)
        half = nn.functional.conv2d(x.half(), weight.half(), bias.half(), padding=1)
        wanted = norm(conv(x))
        yield judged("the same in fp16, variance 1e5", apart(half, wanted), 1e-2)
        picture = bench.picture(side=side).to(bench.device)
        none = torch.zeros(16, device=bench.device)
        one = folding.conv_twice(picture, first, none, second, none[:1])
        middle = nn.functional.conv2d(picture, first, none, padding=1)
        two = nn.functional.conv2d(middle, second, none[:1], padding=1)
        yield judged("two convolutions, relative", apart(one, two), 1e-4)


def bands(bench: Bench) -> Iterator[Figure]:
    """Deformable convolution in bands of rows, all at once, and without the op."""
    chance = torch.Generator().manual_seed(9)
    channels, side = (64, 256) if bench.full else (4, 24)
    for kernel in (3, 7):
        taps = kernel * kernel

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=chance).to(bench.device)

        given = (
            noise(2, channels, side, side),
            noise(2, 2 * taps, side, side) * 4,
            noise(2, taps, side, side).sigmoid() * 2,
            noise(8, channels, kernel, kernel) / (kernel * channels**0.5),
            noise(8),
        )
        rows = kernel * kernel * channels * side * 4
        with torch.inference_mode(), exact():
            whole = _with_sample_bytes(1 << 40, given)
            yield judged(
                f"{kernel}×{kernel}: bands of {side // 8} rows, relative",
                apart(_with_sample_bytes(rows * (side // 8), given), whole), 1e-4,
            )  # fmt: skip
            plain = deform_conv.sampled_deform_conv2d(*given)
            yield judged(f"{kernel}×{kernel}: without the op, relative", apart(plain, whole), 1e-4)


def _with_sample_bytes(limit: int, given: tuple[Tensor, ...]) -> Tensor:
    before = deform_conv._OP_SAMPLE_BYTES
    deform_conv._OP_SAMPLE_BYTES = limit
    try:
        return deform_conv._op(*given)
    finally:
        deform_conv._OP_SAMPLE_BYTES = before


def memory(bench: Bench) -> Iterator[Figure]:
    """What hosts are told that a network needs beside its weights, and what it takes."""
    cuda = bench.device.type == "cuda"
    for name in MATTING:
        loaded = matting_network(name, bench)
        for dtype in ("fp32", "fp16") if cuda else ("fp32",):
            network = precise(loaded.network, dtype).to(bench.device)
            side = loaded.input.size_hw[0] if bench.full else 64
            seen = bench.picture(side=side).to(bench.device, DTYPES[dtype])
            told = side**2 * loaded.architecture.bytes_per_pixel * DTYPES[dtype].itemsize // 4
            bench.tidy()
            before = torch.cuda.memory_allocated(bench.device) if cuda else 0
            with torch.inference_mode(), peak_memory(bench.device) as peak:
                network(seen)
            took = (peak.size_bytes or 0) - before
            text = f"{took / 2**20:.0f} MiB taken, {told / 2**20:.0f} MiB told"
            yield Figure(f"{name}: {side}×{side}, {dtype}", text, "taken ≤ told" if cuda else "", (
                took <= told if cuda else None
            ))  # fmt: skip


# ------------------------------------------------------------------ benchmark


def speed(bench: Bench) -> Iterator[Figure]:
    """Time of the network alone, a picture: the median of five runs after two."""
    for name in MATTING:
        loaded = matting_network(name, bench)
        for dtype in ("fp32", *HALVES):
            network = precise(loaded.network, dtype).to(bench.device)
            seen = bench.picture(side=loaded.input.size_hw[0] if bench.full else 64)
            for frames in (1, 4):
                batch = seen.repeat(frames, 1, 1, 1).to(bench.device, DTYPES[dtype])
                seconds = _timed(bench, lambda: network(batch)) / frames  # noqa: B023
                of = f"{name}, {seen.shape[-1]}×{seen.shape[-1]}, {dtype}, {frames} at a time"
                yield Figure(of, f"{seconds * 1000:.1f} ms")
            bench.tidy()
    for side in (1024, 4096) if bench.full else (64,):
        image = bench.picture(side=side).to(bench.device)
        matte = ((image[:, :1] - 0.4) * 4).clamp(0, 1)
        seconds = _timed(bench, lambda: estimate_foreground(image, matte))  # noqa: B023
        yield Figure(f"foreground, {side}×{side}", f"{seconds * 1000:.1f} ms")


def _timed(bench: Bench, work: Callable[[], Any]) -> float:
    taken: list[float] = []
    for _ in range(7 if bench.full else 2):
        bench.wait()
        begun = time.perf_counter()
        with torch.inference_mode():
            work()
        bench.wait()
        taken.append(time.perf_counter() - begun)
    return median(taken[2:] or taken)


CHECKS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "Parity with the CPU": parity,
    "Folding": folded,
    "Bands": bands,
    "Halving": halving,
    "Half precision": half_precision,
    "Memory": memory,
    "Speed": speed,
}
