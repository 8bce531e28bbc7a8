"""Everything that a CUDA machine can tell about this project, in one call of at most 8 minutes.

    python tools/gpu_check.py -o gpu.md
    python tools/gpu_check.py --rehearse     the same with tiny networks, on the CPU

Runs the checks of `pytest --gpu` and a benchmark, with random weights of the published networks'
sizes and the built-in model: nothing is downloaded. The table is Markdown, and is written again
after every figure, so that what was found stays if the machine goes. Exit code 1 if a figure is
beyond its limit or a check failed, 2 without a CUDA device.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.gpu_bench import Bench, Figure  # noqa: E402
from tools.gpu_checks import CHECKS  # noqa: E402
from toonout_core import __version__  # noqa: E402
from toonout_core.errors import BadInput  # noqa: E402
from toonout_core.host import choose_device  # noqa: E402

Rows = list[tuple[str, Figure]]
Check = Callable[[Bench], Iterator[Figure]]
VERDICTS = {True: "right", False: "**WRONG**", None: ""}


def run(
    bench: Bench, checks: dict[str, Check], deadline: float, tell: Callable[[Rows], None]
) -> Rows:
    """A row for each figure; for what raises, and for what there was no time for, one as well."""
    rows: Rows = []
    for name, check in checks.items():
        try:
            for figure in check(bench):
                rows.append((name, figure))
                tell(rows)
                if time.monotonic() > deadline:
                    rows.append((name, Figure("the rest", "not run: no time left")))
                    break
        except Exception as error:  # noqa: BLE001 (a check that breaks is a finding, too)
            reason = " ".join(str(error).split())[:300]
            rows.append((name, Figure("failed", f"{type(error).__name__}: {reason}", "", False)))
        bench.tidy()
        tell(rows)
    return rows


def machine(device: torch.device) -> list[str]:
    """What the figures depend on."""
    lines = [
        f"toonout {__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    ]
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        lines.append(
            f"{card.name}, {card.total_memory / 2**30:.0f} GiB, compute capability "
            f"{card.major}.{card.minor}, CUDA {torch.version.cuda or torch.version.hip}, "
            f"cuDNN {torch.backends.cudnn.version()}"
        )
    else:
        lines.append("a rehearsal with tiny networks on the CPU: its figures mean nothing")
    return lines


def table(device: torch.device, rows: Rows, seconds: float) -> str:
    """Markdown."""
    wrong = sum(figure.ok is False for _, figure in rows)
    right = sum(figure.ok is True for _, figure in rows)
    told = [*machine(device), f"{right} right, {wrong} wrong, in {seconds:.0f} s"]
    cells = [("check", "of", "figure", "limit", "verdict"), ("---",) * 5]
    cells += [(n, f.of, f.value, f.limit, VERDICTS[f.ok]) for n, f in rows]
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]
    return "\n".join([*(f"- {line}" for line in told), "", *lines]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, help="the table (default: on the screen)")
    parser.add_argument("--device", default="cuda", help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=7.5, help="(default: %(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="tiny networks, on the CPU")
    chosen = parser.parse_args(arguments)
    try:
        device = choose_device("cpu" if chosen.rehearse else chosen.device)
    except BadInput as error:
        print(f"{error} Or try it with --rehearse.", file=sys.stderr)
        return 2
    begun = time.monotonic()

    def tell(rows: Rows) -> None:
        if chosen.out:
            text = table(device, rows, time.monotonic() - begun)
            chosen.out.write_text(text, encoding="utf-8")

    bench = Bench(device, full=not chosen.rehearse)
    rows = run(bench, CHECKS, begun + chosen.minutes * 60, tell)
    tell(rows)
    if not chosen.out:
        print(table(device, rows, time.monotonic() - begun))
    return int(any(figure.ok is False for _, figure in rows))


if __name__ == "__main__":
    raise SystemExit(main())
