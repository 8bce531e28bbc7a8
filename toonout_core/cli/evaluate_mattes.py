"""`toonout evaluate PRED GT` and `toonout evaluate --model … IMAGES GT`."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import BadInput
from ..options import measuring
from .options import load_model, require_models
from .parsing import Parser, add
from .reports import replace_report, save_json
from .terminal import say

if TYPE_CHECKING:
    from ..evaluation.measuring import Method
    from ..evaluation.pairing import Pair, Paired
    from ..host import LocalHost

_SLOW = ("HCE",)


def add_matte_options(parser: Parser) -> None:
    """What concerns mattes in files."""
    add(parser, measuring.REPORT_OUT, measuring.BY_FOLDER, measuring.METRICS, title="mattes")
    add(parser, measuring.IMAGES, measuring.GALLERY, title="mattes")


def evaluate_mattes(arguments: argparse.Namespace) -> int:
    """Measure, print tables, write the report."""
    if len(arguments.paths) < 2:
        raise BadInput(
            "a folder of mattes or images and a folder of truth must be given",
            " ".join(arguments.paths) or "nothing",
            "Or --data DIR for composites.",
        )
    *sources, truths = map(Path, arguments.paths)
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.exists() and not out.is_dir():
        raise BadInput("OUT must be a folder", f"the file {out}", "Name a folder.")
    metrics = chosen_metrics(arguments.metrics)
    if arguments.model or arguments.grabcut:
        if len(sources) != 1:
            raise BadInput("models must get one folder of images", f"{len(sources)}")
        methods, problems = _measure_models(arguments, sources[0], truths, metrics, out)
    else:
        methods, problems = _measure_folders(arguments, sources, truths, metrics, out)
    return _conclude(arguments, methods, problems, metrics, out)


def chosen_metrics(text: str | None) -> list[str]:
    """Ids of metrics: those named, separated by commas, all, or all that are quick."""
    from ..evaluation.matting_metrics import METRIC_IDS, choose_metrics

    if text is None:
        return [name for name in METRIC_IDS if name not in _SLOW]
    names = list(METRIC_IDS) if text.casefold() == "all" else text.replace(",", " ").split()
    if not names:
        raise BadInput("--metrics must name some", repr(text))
    return [metric.id for metric in choose_metrics(names)]


# ---------------------------------------------------------------- measuring


def _measure_folders(
    arguments: argparse.Namespace,
    folders: Sequence[Path],
    truths: Path,
    metrics: Sequence[str],
    out: Path | None,
) -> tuple[list[Method], list[tuple[str, str]]]:
    from ..evaluation.measuring import measure_files
    from ..evaluation.pairing import pair_files

    images = _images(arguments, truths)
    methods: list[Method] = []
    names = told_apart([os.path.abspath(folder) for folder in folders])
    host = _cpu_host(arguments)
    for name, folder in zip(names, folders, strict=True):
        paired = _categorised(pair_files(folder, truths, out=out), arguments.by_folder)
        with host.progress(len(paired.pairs), name) as step:
            method = measure_files(name, paired.pairs, metrics, step, images=images)
        method.problems = paired.problems + method.problems
        methods.append(method)
    return methods, []


def _images(arguments: argparse.Namespace, truths: Path) -> dict[str, Path]:
    if not arguments.images:
        return {}
    from ..evaluation.pairing import pair_files

    return {pair.name: pair.source for pair in pair_files(Path(arguments.images), truths).pairs}


def _measure_models(
    arguments: argparse.Namespace,
    images: Path,
    truths: Path,
    metrics: Sequence[str],
    out: Path | None,
) -> tuple[list[Method], list[tuple[str, str]]]:
    from ..evaluation.measuring import Method
    from ..evaluation.pairing import pair_files

    if out is not None:
        spare_inputs(out, [images, truths])
    paired = _categorised(pair_files(images, truths, out=out), arguments.by_folder)
    wanted = arguments.model or []
    require_models(arguments, wanted)
    methods = [Method(name) for name in told_apart(wanted)]
    for method, model in zip(methods, wanted, strict=True):
        matting = load_model(arguments, model)
        method.file_bytes = matting.loaded.path.stat().st_size
        host = cast("LocalHost", matting.host)
        _measure(method, matting.predict, paired.pairs, metrics, host, out)
        del matting  # the next one's memory is its own
    if arguments.grabcut:
        from ..evaluation.baselines import grabcut

        methods.append(Method("GrabCut"))
        _measure(methods[-1], grabcut, paired.pairs, metrics, _cpu_host(arguments), out)
    return methods, paired.problems


def _measure(
    method: Method,
    predict: Any,
    pairs: Sequence[Pair],
    metrics: Sequence[str],
    host: LocalHost,
    out: Path | None,
) -> None:
    from ..evaluation.measuring import measure_model

    mattes = None if out is None else out / "mattes" / method.name
    with host.progress(len(pairs), method.name) as step:
        measure_model(method, predict, pairs, metrics, step, device=host.device, mattes=mattes)


def _cpu_host(arguments: argparse.Namespace) -> LocalHost:
    from ..host import LocalHost

    return LocalHost("cpu", quiet=arguments.quiet)


def _categorised(paired: Paired, by_folder: bool) -> Paired:
    if not by_folder:
        paired.pairs = [replace(pair, category="") for pair in paired.pairs]
    return paired


def spare_inputs(out: Path, inputs: Sequence[Path]) -> None:
    """Raises BadInput where mattes would be written over what is read."""
    mattes = (out / "mattes").resolve()
    for path in inputs:
        if mattes in (path.resolve(), *path.resolve().parents):
            raise BadInput(
                f"{mattes} must be free for mattes", f"an input in it, {path}", "Name another OUT."
            )


def told_apart(paths: Sequence[str]) -> list[str]:
    """The last part of each, without the ending of a file, and as many before it as it takes."""
    places = [Path(path) for path in paths]
    parts = [(p.with_suffix("") if p.is_file() else p).parts for p in places]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["-".join(part.strip(os.sep) for part in p[-depth:]).strip("-") for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{index}-{places[index].name}" for index in range(len(places))]


# ---------------------------------------------------------------- telling


def _conclude(
    arguments: argparse.Namespace,
    methods: Sequence[Method],
    problems: Sequence[tuple[str, str]],
    metrics: Sequence[str],
    out: Path | None,
) -> int:
    from ..evaluation.pairing import categories_of
    from ..evaluation.tables import as_csv, as_json, notes, tables

    categories = categories_of([row.pair for method in methods for row in method.rows])
    problems = _all_problems(methods, problems)
    for name, text in problems:
        say(f"not measured: {name}: {text}")
    if not any(method.rows for method in methods):
        say("Nothing could be measured.")
        return 2
    for note in notes(methods):
        say(note)
    print("\n\n".join(table.markdown() for table in tables(methods, categories)))
    figures = as_json(methods, categories, problems, _about(arguments, metrics))
    if arguments.report:
        say(f"Figures: {save_json(Path(arguments.report), figures)}")
    if out is not None:
        if arguments.model or arguments.grabcut:
            say(f"Mattes: {out / 'mattes'}")
        page = _page(arguments, methods, categories, problems)
        say(f"Scores: {replace_report(out / 'scores.json', figures)}")
        say(f"Scores: {replace_report(out / 'scores.csv', as_csv(methods))}")
        say(f"Report: {replace_report(out / 'report.html', page)}")
    return 1 if problems else 0


def _all_problems(
    methods: Sequence[Method], problems: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Each once; what does not concern all methods says whom."""
    counted = Counter(problem for method in methods for problem in set(method.problems))
    found = list(problems)
    for (name, text), count in counted.items():
        if count == len(methods):
            found.append((name, text))
        else:
            found += [
                (name, f"{method.name}: {text}")
                for method in methods
                if (name, text) in method.problems
            ]
    return found


def _about(arguments: argparse.Namespace, metrics: Sequence[str]) -> dict[str, Any]:
    from .. import __version__

    return {
        "toonout": __version__,
        "paths": arguments.paths,
        "models": arguments.model or [],
        "metrics": list(metrics),
    }


def _page(
    arguments: argparse.Namespace,
    methods: Sequence[Method],
    categories: Sequence[str],
    problems: Sequence[tuple[str, str]],
) -> str:
    from .. import __version__
    from ..evaluation.html_report import Page, html_report

    pictures = len({row.pair.name for method in methods for row in method.rows})
    facts = [f"{pictures} pictures, truth from {arguments.paths[-1]}. toonout {__version__}."]
    title = "Mattes compared" if len(methods) > 1 else f"Mattes of {methods[0].name}"
    return html_report(Page(title, facts, methods, categories, problems), arguments.gallery)
