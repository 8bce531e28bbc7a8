"""Damage files in every way and see that each is read, or refused in a sentence.

    python tools/fuzz.py pictures --count 10000
    python tools/fuzz.py weights --count 5000 --seed 7 --keep found

Cases are numbered: the same seed and number give the same file everywhere. Each worker reads one
file after the other with limits on memory and time; when it dies, the case is written down, and
another goes on behind it. Files with an outcome that nobody wants go to --keep. Exit code 1 if
there is one. docs/testing.md says more.
"""

from __future__ import annotations

import argparse
import logging
import random
import struct
import subprocess
import sys
import tempfile
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import fuzz_seeds  # noqa: E402
from toonout_core.errors import ToonOutError  # noqa: E402
from toonout_core.imaging import Picture, read, read_frames  # noqa: E402

MEMORY_BYTES = 1_500_000_000  # that one file may take beside what the program has
CPU_SECONDS = 20  # for one file
_FRAMES = 12  # that are read of one file

_INTERESTING = (
    *(0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF),
    *(0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 10**6, 65500),
)


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    name: str
    content: bytes


# ---------------------------------------------------------------- damage


def case(kind: str, seed: int, number: int) -> Case:
    """The file of that number; every tenth is sound."""
    sound = seeds(kind)
    rng = random.Random(f"{kind} {seed} {number}")
    name = rng.choice(sorted(sound))
    content = sound[name]
    if number % 10:
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            content = rng.choice(_DAMAGES)(content, rng)
    if name.endswith(("png", "apng")) and rng.random() < 0.6:
        content = _with_right_checksums(content)
    return Case(f"{number}_{name}", content)


_made: dict[str, dict[str, bytes]] = {}


def seeds(kind: str) -> dict[str, bytes]:
    """Sound files, made once."""
    if kind not in _made:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # formats that Pillow will give up one day
            _made[kind] = getattr(fuzz_seeds, kind)()
    return _made[kind]


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20)) if data else 0):
        changed[_place(changed, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)] if data else data


def _lack_the_end(data: bytes, rng: random.Random) -> bytes:
    return data[: max(0, len(data) - rng.choice((1, 2, 3, 4, 12, 40)))]


def _number(data: bytes, rng: random.Random) -> bytes:
    """A length field, maybe."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    value = rng.choice((*_INTERESTING, len(data), rng.getrandbits(32))) % 256**size
    place = _place(data, rng) if data else 0
    return data[:place] + value.to_bytes(size, order) + data[place + size :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng) if data else 0
    end = min(len(data), start + rng.choice((1, 4, 16, 300)))
    return data[:end] + data[start:end] * rng.choice((1, 2, 50)) + data[end:]


def _leave_out(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng) if data else 0
    return data[:start] + data[start + rng.choice((1, 4, 16, 300)) :]


def _fill(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng) if data else 0
    size = rng.choice((4, 16, 200))
    return data[:start] + bytes(rng.choices(range(256), k=size)) + data[start + size :]


def _place(data: bytes | bytearray, rng: random.Random) -> int:
    """Half of all damage is near the beginning, where headers are."""
    most = len(data) if rng.random() < 0.5 else min(len(data), 200)
    return rng.randrange(most)


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _lack_the_end, _number, _number, _number, _repeat, _leave_out, _fill,
)  # fmt: skip


def _with_right_checksums(data: bytes) -> bytes:
    """So that damage gets further than the checksums of a PNG."""
    place, made = 8, data[:8]
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        content = data[place + 4 : place + 8 + size]
        if place + 12 + size > len(data):
            break
        made += data[place : place + 4] + content + struct.pack(">I", zlib.crc32(content))
        place += 12 + size
    return made + data[place:]


# ---------------------------------------------------------------- reading


def outcome(kind: str, path: Path) -> str:
    """ "read", "refused", or what nobody wants to see."""
    try:
        READERS[kind](path)
    except ToonOutError as error:
        told = str(error)
        sentence = path.name in told and told.rstrip().endswith(".") and "Traceback" not in told
        return "refused" if sentence else f"no sentence: {told}"
    except Exception:  # noqa: BLE001 (what this is for)
        return "".join(traceback.format_exc())
    return "read"


def _read_picture(path: Path) -> None:
    for picture in islice(read_frames(path), _FRAMES):
        _check(picture)
    _check(read(path, shrink_to=300))


def _check(picture: Picture) -> None:
    import torch

    for plane in (picture.image, picture.image if picture.alpha is None else picture.alpha):
        lowest, highest = (float(level) for level in plane.aminmax())
        if not bool(torch.isfinite(plane).all()) or lowest < 0 or highest > 1:
            raise AssertionError("pixels outside of [0, 1]")


def _read_weights(path: Path) -> None:
    from toonout_core.host import LocalHost
    from toonout_core.loading import load_network

    host = LocalHost("cpu", [path.parent], quiet=True)
    load_network(path, host, task=None, download=False)


READERS: dict[str, Callable[[Path], None]] = {"pictures": _read_picture, "weights": _read_weights}


# ---------------------------------------------------------------- workers


def work(kind: str, seed: int, first: int, last: int) -> None:
    """Read the cases and say of each what became of it: one line, one repr."""
    import resource
    import signal

    logging.disable(logging.CRITICAL)
    seeds(kind)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            made = case(kind, seed, number)
            path = Path(folder) / made.name
            path.write_bytes(made.content)
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # ends this process
            told = outcome(kind, path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            path.unlink()
            print(f"{number} {told!r}", flush=True)


def outcomes(kind: str, seed: int, first: int, last: int) -> Iterator[tuple[int, str]]:
    """Number and outcome of every case; workers are started until all are done."""
    while first < last:
        command = [sys.executable, __file__, kind, "--seed", str(seed)]
        with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
            [*command, "--worker", str(first), str(last)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True,
        ) as worker:  # fmt: skip
            assert worker.stdout is not None
            for line in worker.stdout:
                number, _, told = line.partition(" ")
                yield int(number), told.strip()[1:-1]
                first = int(number) + 1
            worker.wait()
            errors.seek(0)
            said = errors.read()[-800:]
        if first < last:
            yield first, f"the worker ended with {worker.returncode}: {said}"
            first += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=sorted(READERS))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files with an unwanted outcome")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.kind, given.seed, *given.worker)
        return 0
    counts: Counter[str] = Counter()
    last = given.first + given.count
    for number, told in outcomes(given.kind, given.seed, given.first, last):
        known = told if told in ("read", "refused") else "unwanted"
        counts[known] += 1
        if known != "unwanted":
            continue
        made = case(given.kind, given.seed, number)
        print(f"{made.name}: {told}".replace("\\n", "\n"), flush=True)
        if given.keep:
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / made.name).write_bytes(made.content)
    print(f"{given.kind}, seed {given.seed}, cases {given.first} to {last - 1}: {dict(counts)}")
    return int(counts["unwanted"] > 0)


if __name__ == "__main__":
    sys.exit(main())
