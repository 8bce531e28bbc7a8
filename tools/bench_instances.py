"""Measure a detector, a refiner and a matting model on scenes of known instance mattes.

    python tools/bench_instances.py --data ART                        the published weights
    python tools/bench_instances.py --data ART --detector toonout-mini --split val --scenes 20
    python tools/bench_instances.py --masked DIR --detector toonout-mini

DIR holds pictures of one character, NAME.webp with NAME_mask.png: how often it is found as one.
ART is a folder of cutouts and backgrounds as in docs/training.md. Weights are looked for in
--models-dir and downloaded otherwise. Prints Markdown; docs/measuring.md says what it means.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from toonout_core import __version__, load_matting, load_segmenter  # noqa: E402
from toonout_core.characters.overlay import draw_instances  # noqa: E402
from toonout_core.cli.options import add_device_options, open_host  # noqa: E402
from toonout_core.cli.parsing import Parser  # noqa: E402
from toonout_core.errors import ToonOutError  # noqa: E402
from toonout_core.evaluation.instance_bench import (  # noqa: E402
    BenchOptions,
    BenchReport,
    Looked,
    bench_instances,
    markdown,
)
from toonout_core.evaluation.single_characters import describe, find_singles  # noqa: E402
from toonout_core.host import Host  # noqa: E402
from toonout_core.instances import Instances  # noqa: E402
from toonout_core.output.writing import write  # noqa: E402
from toonout_core.segmentation.asking import DEFAULTS, SegmentOptions  # noqa: E402
from toonout_core.segmentation.instance_segmenter import InstanceSegmenter  # noqa: E402
from toonout_core.segmentation.regional import RegionSegmenter  # noqa: E402
from toonout_core.synthesis.cutouts import read_library  # noqa: E402
from toonout_core.synthesis.instance_scenes import InstanceScene  # noqa: E402


def read_arguments() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="with fg/ and bg/")
    parser.add_argument("--masked", type=Path, metavar="DIR", help="measure these pictures instead")
    parser.add_argument("--split", default="test", help="subfolder of fg/ (default: %(default)s)")
    parser.add_argument("--scenes", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=720, help="of a scene (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--detector", default="anime-instances", metavar="NAME|FILE",
        help="(default: %(default)s); truth: true masks, a little worn: mattes if nobody is missed",
    )  # fmt: skip
    parser.add_argument("--refiner", default="auto", metavar="NAME|FILE|none")
    parser.add_argument(
        "--matte", metavar="NAME|FILE", help="(default: as toonout instances); truth: the true one"
    )
    parser.add_argument(
        "--min-score", type=float, default=DEFAULTS.min_score, help="(default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="and the tables there")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="and overlays there")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    add_device_options(parser, "device")
    arguments = parser.parse_args()
    if (arguments.data is None) == (arguments.masked is None):
        parser.error("one of --data and --masked must be given")
    return arguments


def open_segmenter(arguments: argparse.Namespace, host: Host) -> InstanceSegmenter:
    return load_segmenter(
        arguments.detector, arguments.refiner, host=host, precision=arguments.precision,
        download=arguments.allow_download,
    )  # fmt: skip


def measure(arguments: argparse.Namespace) -> BenchReport:
    library = read_library(arguments.data, arguments.split, longest_px=arguments.size)
    host, download = open_host(arguments), arguments.allow_download
    segmenter = None
    if arguments.detector != "truth":
        segmenter = open_segmenter(arguments, host)
    matting = None
    if arguments.matte is None and isinstance(segmenter, RegionSegmenter):
        matting = segmenter.matting
    elif arguments.matte != "truth":
        matting = load_matting(
            arguments.matte or "toonout-mini", host=host, precision=arguments.precision,
            download=download,
        )  # fmt: skip
    options = BenchOptions(
        arguments.scenes, arguments.size, arguments.seed, SegmentOptions(arguments.min_score)
    )
    looked = drawing(arguments.pictures) if arguments.pictures else None
    return bench_instances(segmenter, matting, library, host, options, looked=looked)


def drawing(folder: Path) -> Looked:
    """Writes the overlay of every scene."""

    def draw(number: int, scene: InstanceScene, found: Instances, mattes: Instances) -> None:
        shown = draw_instances(scene.image, found)
        write(folder / f"scene{number:04d}.png", shown, overwrite=True)

    return draw


def main() -> int:
    arguments = read_arguments()
    try:
        if arguments.masked is not None:
            segmenter = open_segmenter(arguments, open_host(arguments))
            options = SegmentOptions(arguments.min_score)
            print(describe(find_singles(segmenter, arguments.masked, options)), end="")
            return 0
        report = measure(arguments)
    except ToonOutError as error:
        print(f"bench_instances: {error}", file=sys.stderr)
        return 2
    kept = {name: str(getattr(arguments, name)) for name in ("split", "detector", "refiner")}
    document = asdict(report)
    document["settings"] |= kept | {"toonout": __version__}
    tables = markdown(report)
    print(tables, end="")
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(tables, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
