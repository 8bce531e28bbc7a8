"""`toonout compare`: models side by side on your own pictures, without truth."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from ..errors import BadInput
from ..options import measuring, models, running
from .evaluate_mattes import spare_inputs, told_apart
from .options import add_model_options, load_model, open_host, require_models
from .parsing import Verbs, add
from .reports import replace_report
from .terminal import say, say_failure

if TYPE_CHECKING:
    from ..evaluation.comparing import Variant
    from ..host import LocalHost
    from ..output.naming import Source

_FORMATS = ("fp32", "fp16", "bf16")
_SHEET = "_compared"

EXAMPLES = """\
examples:
  toonout compare drawings --model toonout-mini --model toonout -o compared
  toonout compare girl.png --model best.safetensors --formats fp32,fp16 -o compared
  toonout compare drawings --model toonout-mini --grabcut --colours white,black,#00ff00 -o compared

OUT gets a contact sheet for every picture (mattes and cutouts over colours, with and without blur
fusion, and a detail at full size), the mattes, and compare.json with sizes, times and memory.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "compare",
        help="see models side by side on your pictures",
        description="See models side by side on pictures whose alpha nobody knows.",
        epilog=EXAMPLES,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="picture, folder or pattern")
    add(parser, measuring.SHEETS_OUT, required=True)
    add(parser, running.RECURSIVE, measuring.COLOURS, measuring.FORMATS, measuring.GRABCUT)
    add(parser, measuring.FUSION_ROWS, measuring.CELL, running.QUIET)
    add_model_options(parser, several=True)


def run(arguments: argparse.Namespace) -> int:
    """Write the sheets, print the table."""
    from ..evaluation.comparing import comparison_table
    from ..ops.compositing import parse_colour
    from ..output.naming import find_sources

    colours = [colour.strip() for colour in arguments.colours.split(",")]
    for colour in colours:
        parse_colour(colour)  # before any work
    formats = _formats(arguments.formats)
    out = Path(arguments.out)
    found = find_sources(
        arguments.paths, recursive=arguments.recursive, out=out, results=_earlier_sheets(out)
    )
    spare_inputs(out, [source.path for source in found.sources])
    variants = _cut(arguments, formats, found.sources, out)
    problems = found.problems + _write_sheets(arguments, found.sources, variants, colours, out)
    problems += [problem for variant in variants for problem in variant.problems]
    for name, text in dict.fromkeys(problems):
        say_failure(name, text)
    if not any(variant.mattes for variant in variants):
        say("There is no picture to compare.")
        return 2
    print(comparison_table(variants).markdown())
    text = json.dumps(_described(variants), indent=1) + "\n"
    say(f"Sheets and mattes: {out}")
    say(f"Figures: {replace_report(out / 'compare.json', text)}")
    return 1 if problems else 0


def _earlier_sheets(out: Path) -> set[Path]:
    """Of earlier comparisons in that folder: no pictures to compare."""
    if not (out / "compare.json").is_file():
        return set()
    return {Path(os.path.abspath(path)) for path in out.rglob(f"*{_SHEET}.png")}


def _formats(text: str | None) -> list[str]:
    """Those named; one empty name for files as they are."""
    if text is None:
        return [""]
    formats = [name.strip() for name in text.split(",")]
    if unknown := sorted({*formats} - {*_FORMATS}):
        raise BadInput(f"formats must be some of {', '.join(_FORMATS)}", ", ".join(unknown))
    return formats


def _cut(
    arguments: argparse.Namespace, formats: Sequence[str], sources: Sequence[Source], out: Path
) -> list[Variant]:
    from ..evaluation.comparing import Variant, pair_variants

    wanted = arguments.model or [models.MODEL.default]
    require_models(arguments, wanted)
    variants: list[Variant] = []
    for name, model in zip(told_apart(wanted), wanted, strict=True):
        for format in formats:
            with _stored_as(arguments, model, format) as file:
                begun = time.perf_counter()
                matting = load_model(arguments, str(file))
                seconds = time.perf_counter() - begun
                variant = Variant(f"{name} {format}".strip(), name, load_seconds=seconds)
                variant.file_bytes = matting.loaded.path.stat().st_size
                host = cast("LocalHost", matting.host)
                _run(variant, matting.predict, sources, host, out)
                del matting  # before its file goes
            variants.append(variant)
    if arguments.grabcut:
        from ..evaluation.baselines import grabcut
        from ..host import LocalHost

        variants.append(Variant("GrabCut", "GrabCut"))
        host = LocalHost("cpu", quiet=arguments.quiet)
        _run(variants[-1], grabcut, sources, host, out)
    pair_variants(variants)
    return variants


def _run(
    variant: Variant, predict: Any, sources: Sequence[Source], host: LocalHost, out: Path
) -> None:
    from ..evaluation.comparing import cut_all

    folder = out / "mattes" / variant.name.replace(" ", "-")
    with host.progress(len(sources), variant.name) as step:
        cut_all(variant, predict, sources, folder, step, host.device)


@contextmanager
def _stored_as(arguments: argparse.Namespace, model: str, format: Any) -> Iterator[str | Path]:
    """The model itself, or a safetensors file with its weights in that format, for a while."""
    if not format:
        yield model
        return
    from ..converting import convert
    from ..host import LocalHost
    from ..loading import locate

    source, _ = locate(model, open_host(arguments), download=arguments.allow_download)
    with TemporaryDirectory(prefix="toonout-") as folder:
        target = Path(folder) / f"{source.stem}-{format}.safetensors"
        convert(source, target, LocalHost("cpu", [Path(folder)], quiet=True), dtype=format)
        yield target


def _write_sheets(
    arguments: argparse.Namespace,
    sources: Sequence[Source],
    variants: Sequence[Variant],
    colours: Sequence[str],
    out: Path,
) -> list[tuple[str, str]]:
    from ..errors import ToonOutError
    from ..evaluation.comparing import compare_picture
    from ..evaluation.measuring import write_picture

    problems: list[tuple[str, str]] = []
    for source in sources:
        try:
            sheet = compare_picture(
                source, variants, colours, cell_px=arguments.cell_px, fusion=arguments.fusion
            )
            if sheet is not None:
                target = out / source.target
                write_picture(sheet, target.with_name(f"{target.name}{_SHEET}.png"))
        except (ToonOutError, OSError) as error:
            problems.append((str(source.target), str(error)))
    return problems


def _described(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    return [
        {
            "name": variant.name,
            "device": variant.device,
            "file_bytes": variant.file_bytes,
            "load_seconds": variant.load_seconds,
            "peak_bytes": variant.peak_bytes,
            "seconds": {str(path): value for path, value in variant.seconds.items()},
            "fusion_seconds": variant.fusion_seconds,
            "compared_with": variant.beside,
            "worst_levels": variant.worst_levels,
            "mean_levels": variant.mean_levels,
        }
        for variant in variants
    ]
