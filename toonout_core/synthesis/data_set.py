"""A folder of labelled scenes, for whoever reads COCO or YOLO-seg.

    OUT/images/train/000000.jpg …   pictures
    OUT/labels/train/000000.txt …   YOLO-seg labels
    OUT/instances_train.json        COCO annotations of all of them
    OUT/data.yaml                   the splits that are there, for a YOLO trainer
    OUT/settings_train.json         what they were made of

and, where mattes are wanted, what matting is trained and measured on:

    OUT/mattes/train/im/000000.jpg …    the pictures again
    OUT/mattes/train/gt/000000.png …    the soft matte of all figures together
    OUT/mattes/train/ATTRIBUTION.csv    who is in which

Every picture depends on the seed and its number alone: on neither the number of processes nor
interruptions. What is there already is not made again.
"""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import BadInput
from ..output.coco import dataset, to_annotations
from ..output.manifest import Manifest, claim
from ..output.publishing import write_text
from ..output.records import Record, settings_hash
from ..output.writing import write
from .instance_scenes import InstanceScene, whole_matte
from .scenes import label
from .yolo import data_yaml, to_yolo

Make = Callable[[int], InstanceScene]
Step = Callable[[], object]
Kind = Literal["images", "labels", "im", "gt"]

_TOGETHER = 4  # scenes that a process is given at a time
_QUALITIES = (75, 85, 95)
_YOLO_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataSet:
    """Where scenes go.

    `settings`: all that they depend on, beside their number, as JSON; `mattes`: whether the folders
    im and gt are written too.
    """

    out: Path
    split: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    format: Literal["jpg", "png"] = "jpg"
    mattes: bool = False

    @property
    def all_settings(self) -> dict[str, Any]:
        """The settings that a folder must not mix."""
        mattes = {"mattes": True} if self.mattes else {}
        return {**self.settings, "format": self.format, **mattes}

    @property
    def hash(self) -> str:
        """The hash of the settings."""
        return settings_hash(self.all_settings)

    def place(self, index: int, kind: Kind) -> Path:
        """Return the place of a file relative to OUT."""
        ending = {"labels": "txt", "gt": "png"}.get(kind, self.format)
        folder = Path(kind, self.split) if kind in ("images", "labels") else self.pairs / kind
        return folder / f"{index:06d}.{ending}"

    @property
    def pairs(self) -> Path:
        """The folder of im and gt, relative to OUT."""
        return Path("mattes", self.split)


def write_scenes(
    data: DataSet, make: Make, count: int, *, workers: int = 1, step: Step = lambda: None
) -> int:
    """Write the scenes 0 … `count` − 1 that are not there, and the files of all. Returns how many
    were made.

    `make` must be fit for pickling if `workers` is above 1. Raises BadInput if the folder holds the
    same split of other settings.
    """
    if count < 1 or workers < 1:
        raise BadInput("count and workers must be at least 1", f"{count} and {workers}")
    with claim(data.out, wait=True) as manifest:
        _require_settings(data)
        missing = [index for index in range(count) if not _is_done(data, manifest, index)]
        for record in _made(data, make, missing, workers):
            manifest.append(record)
            step()
        write_summaries(data, manifest, count)
    return len(missing)


def write_summaries(data: DataSet, manifest: Manifest, count: int) -> None:
    """Write the COCO file of the split, the YAML file of all splits, and the table of
    who is where.
    """
    pictures: list[tuple[str, tuple[int, int], list[dict[str, Any]]]] = []
    for index in range(count):
        record = manifest.last(_key(data, index))
        if record is not None and record.details:
            height, width = record.details[0]["size_hw"]
            name = data.place(index, "images").as_posix()
            pictures.append((name, (height, width), record.details[0]["annotations"]))
    if data.mattes:
        write_text(
            data.out / data.pairs / "ATTRIBUTION.csv", _attribution(pictures), overwrite=True
        )
    document = dataset(pictures, description="scenes made by toonout synthesize")
    written = data.out / f"instances_{data.split}.json"
    write_text(written, json.dumps(document) + "\n", overwrite=True)
    images = data.out / "images"
    splits = [name for name in (*_YOLO_SPLITS, data.split) if (images / name).is_dir()]
    folders = {name: f"images/{name}" for name in dict.fromkeys(splits)}
    # a trainer refuses a file without val
    folders.setdefault("val", f"images/{data.split}")
    write_text(data.out / "data.yaml", data_yaml(folders), overwrite=True)


def _attribution(pictures: Sequence[tuple[str, tuple[int, int], list[dict[str, Any]]]]) -> str:
    """Write a row for each picture, by its place below im; characters are separated by
    semicolons.
    """
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(("file", "character"))
    for name, _, found in pictures:
        who = sorted({annotation.get("tag_string", "") for annotation in found})
        table.writerow((f"im/{Path(name).name}", ";".join(who)))
    return stream.getvalue()


def _require_settings(data: DataSet) -> None:
    path = data.out / f"settings_{data.split}.json"
    text = json.dumps(data.all_settings, indent=2, sort_keys=True) + "\n"
    try:
        there = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        images = data.out / "images" / data.split
        if images.is_dir() and any(images.iterdir()):
            raise BadInput(
                f"the folder {images} must be empty",
                "pictures that this program did not make",
                "Choose another folder.",
            ) from None
        write_text(path, text, overwrite=True)
        return
    if there != text:
        raise BadInput(
            f"the folder {data.out} must be empty, or hold a data set of the same settings",
            f"other settings, which are in {path.name}",
            f"Choose another folder or another split than {data.split}, or delete this one.",
        )


def _is_done(data: DataSet, manifest: Manifest, index: int) -> bool:
    record = manifest.last(_key(data, index))
    if record is None or record.settings != data.hash or not record.details:
        return False
    if not {"size_hw", "annotations"} <= record.details[0].keys():
        return False
    return all((data.out / output).is_file() for output in record.outputs)


def _key(data: DataSet, index: int) -> Path:
    return data.place(index, "images")


# ---------------------------------------------------------------- processes


def _made(data: DataSet, make: Make, missing: Sequence[int], workers: int) -> Iterator[Record]:
    """Yield what was made, in the order in which it is ready."""
    parts = [missing[start : start + _TOGETHER] for start in range(0, len(missing), _TOGETHER)]
    if workers == 1 or len(parts) < 2:
        for index in missing:
            yield _write_scene(data, make, index)
        return
    with _processes(min(workers, len(parts))) as pool:
        waiting: set[Future[list[Record]]] = set()
        for part in parts:
            waiting.add(pool.submit(_write_part, data, make, part))
            if len(waiting) < 3 * workers:
                continue
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()
        for future in waiting:
            yield from future.result()


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    # not forked: threads of torch and OpenCV do not survive that
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_use_one_thread)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _use_one_thread() -> None:
    import torch

    from ..opencv import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _write_part(data: DataSet, make: Make, part: Sequence[int]) -> list[Record]:
    return [_write_scene(data, make, index) for index in part]


def _write_scene(data: DataSet, make: Make, index: int) -> Record:
    scene = make(index)
    instances = label(scene)
    image, labels = data.place(index, "images"), data.place(index, "labels")
    quality = int(np.random.default_rng(index).choice(_QUALITIES)) if data.format == "jpg" else None
    write(data.out / image, scene.image, quality=quality, overwrite=True)
    write_text(data.out / labels, to_yolo(instances), overwrite=True)
    details = {"size_hw": list(instances.size_hw), "annotations": to_annotations(instances)}
    outputs = [image, labels]
    if data.mattes:
        outputs += [data.place(index, "im"), data.place(index, "gt")]
        write(data.out / outputs[-2], scene.image, quality=quality, overwrite=True)
        write(data.out / outputs[-1], whole_matte(scene), overwrite=True)
    names = tuple(output.as_posix() for output in outputs)
    return Record(str(image), 0, 0, data.hash, "done", names, details=(details,))
