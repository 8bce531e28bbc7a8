"""Kill a run at every call that changes names on a disk, resume it, and look at what is there.

    python tests/output/kill_points.py FOLDER SCENARIO [EVERY]

One process with everything imported forks a run for each point: it kills itself (as `kill -9`
does) before or after the n-th such call. Then a second fork resumes. What must be there in the end
is what a run makes that nobody disturbs. Prints how many points there are, and every fault.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from toonout_core.cli import cutout, main
from toonout_core.output import batch, cutouts, manifest  # noqa: F401 (before the forks)
from toonout_core.results import Matte

CALLS = ("link", "replace", "rename", "unlink", "fsync", "ftruncate")


def cut(picture, **_):
    return Matte(picture.image, picture.image[:, :1])


cutout.load_model = lambda *_, **__: cut


# ---------------------------------------------------------------- pictures and runs


def draw(root: Path, frames: int = 3) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(("a.png", "b.png")):
        Image.linear_gradient("L").resize((12 + index, 9)).convert("RGB").save(root / name)
    pictures = [Image.new("RGB", (8, 8), (60 * i, 20, 200 - 60 * i)) for i in range(frames)]
    pictures[0].save(root / "run.gif", save_all=True, append_images=pictures[1:])


def first(root: Path, out: Path) -> None:
    draw(root)


def redo(root: Path, out: Path) -> None:
    """There are results of other settings."""
    draw(root)
    call(root, out, "--resume")


def shorten(root: Path, out: Path) -> None:
    """There are results of other settings, and more of them."""
    draw(root, 3)
    call(root, out)
    draw(root, 2)


# what is there before, and the options of the run that is killed
SCENARIOS: dict[str, tuple[Callable[[Path, Path], None], Sequence[str]]] = {
    "first": (first, ("--resume",)),
    "no hard links": (first, ("--resume",)),
    "other settings": (redo, ("--resume", "--mask-only")),
    "fewer frames": (shorten, ("--resume", "--mask-only")),
    "overwrite": (shorten, ("--overwrite", "--mask-only")),
}


def call(root: Path, out: Path, *options: str) -> int:
    return main(["cutout", str(root), "-o", str(out), "--quiet", "--frames", *options])


def kill_at(point: int) -> None:
    """SIGKILL for this process: before (even) or after (odd) its n-th call."""
    count = -1

    def reach() -> None:
        nonlocal count
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(original: Callable[..., object]) -> Callable[..., object]:
        def watch(*arguments: object, **options: object) -> object:
            reach()
            result = original(*arguments, **options)
            reach()
            return result

        return watch

    for name in CALLS:
        setattr(os, name, watched(getattr(os, name)))


def forked(work: Callable[[], int]) -> int:
    """The exit code of `work` in a process of its own; below 0 for a signal."""
    child = os.fork()
    if not child:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ---------------------------------------------------------------- what must be there


def state(out: Path) -> dict[str, str]:
    """Name → hash of every file but the manifest, hidden ones too."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != manifest.FILE_NAME
    }


def refuse_link(source: object, target: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)


def run(folder: Path, scenario: str, every: int) -> int:
    prepare, options = SCENARIOS[scenario]
    if scenario == "no hard links":  # as on exFAT
        os.link = refuse_link
    root, before, out = folder / "in", folder / "before", folder / "out"

    def lay_out() -> None:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(before, out)

    before.mkdir(parents=True)
    assert forked(lambda: prepare(root, before) or 0) == 0
    lay_out()
    assert forked(lambda: call(root, out, *options)) == 0
    expected = state(out)
    resume = [option for option in options if option != "--overwrite"]
    resume += [] if "--resume" in resume else ["--resume"]
    point = faults = 0
    while True:
        lay_out()
        code = forked(lambda at=point: kill_at(at) or call(root, out, *options))
        if code != -signal.SIGKILL:
            assert code == 0, code
            break
        code = forked(lambda: call(root, out, *resume))
        there = state(out)
        if code != 0 or there != expected:
            faults += 1
            print(f"FAULT at point {point}: code {code}, {sorted(there)}")
        point += every
    print(f"{scenario}: {len(range(0, point, every))} points, {len(expected)} files")
    return faults


if __name__ == "__main__":
    every = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    raise SystemExit(min(1, run(Path(sys.argv[1]), sys.argv[2], every)))
