"""`toonout doctor`: what is here, and does it work."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ToonOutError
from ..options import running
from .parsing import Verbs, add

EXAMPLES = """\
examples:
  toonout doctor                     a report to copy into an issue
  toonout doctor --json > here.json
  toonout doctor --device cuda:1 --models-dir ~/ComfyUI/models/background_removal

Exit code 1 if the test inference fails.
"""

PACKAGES = (
    "torch", "torchvision", "numpy", "pillow", "opencv-python", "opencv-python-headless",
    "opencv-contrib-python", "opencv-contrib-python-headless", "safetensors", "huggingface-hub",
    "tqdm", "aiohttp", "av", "fastapi", "uvicorn", "ray",
)  # fmt: skip

Section = dict[str, Any]


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "doctor",
        help="report versions, devices, models and one test inference",
        description="Report versions, devices, memory, models, and one test inference.",
        epilog=EXAMPLES,
    )
    add(parser, running.DEVICE, running.CPU_LINEAR)
    add(parser, running.MODELS_DIR, several=True)
    add(parser, running.JSON)


def run(arguments: argparse.Namespace) -> int:
    """Print the report on stdout; it names no user and no picture."""
    folders = [Path(folder).expanduser() for folder in arguments.models_dir]
    report = examine(arguments.device, folders, arguments.cpu_linear)
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print(as_text(report))
    return 0 if report["test inference"].get("works") else 1


def examine(device: str, folders: list[Path], cpu_linear: str = "auto") -> dict[str, Section]:
    """All sections of the report."""
    return {
        "toonout": _program(),
        "packages": _versions(),
        "machine": _machine(),
        "devices": _guarded(lambda: _devices(cpu_linear)),
        "models": _guarded(lambda: _models(folders)),
        "test inference": {"works": False} | _guarded(lambda: _inference(device)),
    }


def _guarded(examination: Callable[[], Section]) -> Section:
    """What is broken is a finding, too."""
    try:
        return examination()
    except (ToonOutError, ImportError, OSError, RuntimeError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def as_text(report: dict[str, Section]) -> str:
    """Aligned lines under a heading for each section."""
    lines: list[str] = []
    for title, section in report.items():
        lines += [title, *(f"  {name:<24} {value}" for name, value in section.items())]
    return "\n".join(lines)


def _program() -> Section:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "environment": "virtual" if sys.prefix != sys.base_prefix else "system",
    }


def _versions() -> Section:
    found: Section = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if not name.startswith("opencv-"):
                found[name] = "not installed"
    variants = [name for name in found if name.startswith("opencv-")]
    if not variants:
        found["opencv-python"] = "not installed"
    if len(variants) > 1:
        found["opencv"] = f"{len(variants)} variants over each other: keep one"
    return found


def _machine() -> Section:
    section: Section = {"processors": os.cpu_count()}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        pages = {"memory": "SC_PHYS_PAGES", "memory free": "SC_AVPHYS_PAGES"}
        for title, name in pages.items():
            if name in os.sysconf_names:
                section[title] = _gibibytes(os.sysconf(name) * os.sysconf("SC_PAGE_SIZE"))
    return section


def _devices(cpu_linear: str) -> Section:
    import torch

    from ..host import has_bf16
    from ..ops.fused_conv import fault
    from ..ops.linear import choice, prefer

    prefer(cpu_linear)
    linears = choice()
    apart = fault()
    one_step = f"ReLU is a step of its own ({apart})" if apart else "with ReLU in one step"
    measured = "".join(f", {way} {speed:.0f}" for way, speed in linears.gflops.items())
    section: Section = {
        "cpu threads": torch.get_num_threads(),
        "cpu linears": f"{linears.way} ({linears.why}{measured and measured + ' GFLOP/s'}; "
        "--cpu-linear decides otherwise)",
        "cpu convolutions": one_step,
        "cpu bfloat16": "in hardware" if has_bf16(torch.device("cpu")) else "slow",
    }
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        section[f"cuda:{index}"] = f"{name}, {_gibibytes(free)} of {_gibibytes(total)} free"
    if not torch.cuda.is_available():
        section["cuda"] = _no_card(torch.version.cuda, torch.version.hip)
    if torch.backends.mps.is_available():
        section["mps"] = "available"
    return section


def _no_card(cuda: str | None, hip: str | None) -> str:
    """Why no graphics card computes."""
    if not cuda and not hip:
        return "this PyTorch has no support for it; the CPU is used"
    kind, built = ("NVIDIA", f"CUDA {cuda}") if cuda else ("AMD", f"ROCm {hip}")
    return f"no {kind} card found; the CPU is used (PyTorch is built for {built})"


def _models(folders: list[Path]) -> Section:
    from ..host import LocalHost, cache_dir
    from ..weight_files.locating import find_file, weight_files
    from ..weights import WEIGHTS

    host = LocalHost("cpu", [*folders, cache_dir()], quiet=True)
    section: Section = {"searched": ", ".join(map(_private, host.weight_dirs()))}
    known: set[Path] = set()
    for row in WEIGHTS:
        path = find_file(row, host)
        there = path is not None and path.is_file()
        section[row.name] = "not downloaded"
        if row.embedded:
            section[row.name] = (
                "part of this package" if there else "missing: install ToonOut again"
            )
        if there and path is not None and not row.embedded:
            section[row.name] = _private(path)
            known.add(path)
    others = [path for path in weight_files(host) if path not in known]
    if others:
        section["other files"] = ", ".join(map(_private, others))
    return section


def _inference(device: str) -> Section:
    import torch

    from ..host import LocalHost
    from ..matting import load_matting

    rows = torch.linspace(-1, 1, 256).view(1, 1, -1, 1)
    disc = (rows**2 + rows.mT**2 < 0.4).float()  # a skin-coloured disc on blue
    colours = [torch.tensor(rgb).view(1, 3, 1, 1) for rgb in ((1.0, 0.85, 0.75), (0.3, 0.5, 0.9))]
    picture = disc * colours[0] + (1 - disc) * colours[1]
    host = LocalHost(device, quiet=True)
    matting = load_matting("toonout-mini", host=host, download=False)
    started = time.perf_counter()
    alpha = matting.predict(picture)
    seconds = time.perf_counter() - started
    inside, outside = (float((alpha * part).sum() / part.sum()) for part in (disc, 1 - disc))
    finite = bool(torch.isfinite(alpha).all())
    return {
        "works": finite,
        "device": str(host.device),
        "seconds": round(seconds, 3),
        "alpha inside, outside": f"{inside:.3f}, {outside:.3f}",
    }


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _private(path: Path) -> str:
    """Without the name of the user."""
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if home in path.parents else str(path)
