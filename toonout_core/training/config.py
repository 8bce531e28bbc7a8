"""The settings of a training run, as records that are written beside its checkpoints."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from ..errors import BadInput

log = logging.getLogger("toonout")

_MAY_CHANGE = ("data", "out", "epochs", "steps", "device", "workers")  # while a run goes on

Record = TypeVar("Record")


def explained(default: Any, text: str) -> Any:
    """Make a field with the explanation that the command line shows."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainingConfig:
    """What all trainings have: where pictures and results lie, where and how they compute."""

    data: str
    out: str
    init: str = explained("", "name of a model or weight file to start from")
    seed: int = explained(7, "number that new weights, samples and their order depend on")
    batch: int = explained(16, "samples per process and step")
    workers: int = explained(2, "processes that make samples")
    device: str = explained("auto", "auto, cpu, cuda, cuda:1, mps")
    precision: Literal["fp32", "bf16"] = explained(
        "bf16", "number format of convolutions and attention"
    )
    lr: float = explained(1e-3, "highest learning rate")
    betas: tuple[float, float] = explained((0.9, 0.999), "of AdamW")
    weight_decay: float = explained(1e-2, "of AdamW")
    clip: float = explained(1.0, "largest norm of all gradients together")
    ema_decay: float = explained(
        0.0, "decay of averaged weights, which then are the result; 0: no average"
    )
    norms: Literal["batch", "sync", "kept"] = explained(
        "batch",
        "what BatchNorm learns from: the samples of each process (batch), those of all (sync, on "
        "CUDA), or nothing (kept)",
    )

    def write(self, path: Path) -> None:
        write_record(self, path)


@dataclass(frozen=True)
class CompositeTraining(TrainingConfig):
    """What trainings on composites that are made on the spot have; such a run counts its steps."""

    # data
    more_data: tuple[str, ...] = explained(
        (), "further folders like DATA; each has validation numbers of its own"
    )
    style_shares: tuple[str, ...] = explained((), "STYLE=FACTOR: that style is drawn less or more")
    hard_share: float = explained(0.0, "share of samples that small networks often get wrong")
    sizes_px: tuple[int, ...] = explained(
        (160, 192, 224), "sides in pixels; one is drawn for each batch"
    )
    flat_share: float = explained(0.35, "share of samples on a plain colour")
    even_pixels: bool = explained(
        False,
        "--batch is for the largest size; smaller sizes get more samples, up to as many pixels",
    )
    workers: int = explained(1, "processes that make samples")
    # optimisation
    steps: int = explained(4500, "steps to train in all")
    warmup_steps: int = explained(200, "steps until the highest learning rate is reached")
    schedule: Literal["constant", "cosine"] = explained("cosine", "of the learning rate")
    ema_decay: float = explained(0.998, "decay of the averaged weights; these are the result")
    # running
    validate_px: int = explained(0, "side of validation pictures; 0: the largest of the sizes")
    validate_every: int = explained(500, "steps between validations")
    checkpoint_every: int = explained(250, "steps between checkpoints")


@dataclass(frozen=True)
class UNetConfig(CompositeTraining):
    """A small network that predicts alpha: the alpha-reconstruction U-Net, or the built-in one.

    The paper's recipe is Adam(β = 0.5, 0.999), lr 2e-4 constant, MSE alone, 256², batch 16, flat
    backgrounds. Every default that differs from it is a field of this record.
    """

    # network
    arch: Literal["unet", "lite-unet"] = explained("unet", "the paper's, or the built-in model's")
    widths: tuple[int, ...] = explained((24, 40, 72, 112, 160, 192), "unet: finest level first")
    patch: int = explained(2, "unet: side of the blocks of pixels that enter together")
    separable: bool = explained(False, "unet: depthwise and pointwise convolutions")
    encoder: str = explained("lite0", "lite-unet: size of EfficientNet, lite0, lite1 or lite2")
    encoder_weights: str = explained("", "lite-unet: file to start the encoder from")
    decoder_widths: tuple[int, ...] = explained((32, 48, 64, 96, 128), "lite-unet: finest first")
    init: str = explained(
        "", "weights to start from; options of the network's shape then do not count"
    )
    # optimisation
    betas: tuple[float, float] = explained((0.5, 0.999), "of Adam")
    weight_decay: float = explained(0.0, "of matrices, as AdamW has it")
    encoder_rate: float = explained(0.3, "lite-unet: learning rate of the encoder, as a factor")
    mse: float = explained(1.0, "weight of the squared error")
    edge_l1: float = explained(1.0, "weight of the absolute error, edges counted five times")
    bce: float = explained(0.5, "weight of the cross-entropy")
    iou: float = explained(0.5, "weight of 1 - soft IoU")
    solid: float = explained(
        0.0, "weight of a loss that makes the inside opaque and the outside empty"
    )


@dataclass(frozen=True)
class DetailConfig(CompositeTraining):
    """The head that draws edges of coarse mattes anew, on the built-in model's frozen features."""

    # data
    sizes_px: tuple[int, ...] = explained((768,), "sides in pixels; one is drawn for each batch")
    batch: int = explained(2, "pictures per process and step")
    crops: int = explained(2, "parts of each picture that are learned from, at its edges")
    crop_px: int = explained(384, "side of such a part, a multiple of 32")
    reduced: tuple[float, float] = explained(
        (1.4, 2.6), "least and largest factor between picture and what the whole was seen at"
    )
    # optimisation
    steps: int = explained(2000, "steps to train in all")
    warmup_steps: int = explained(50, "steps until the highest learning rate is reached")
    lr: float = explained(2e-3, "highest learning rate")
    clip: float = explained(2.0, "largest norm of all gradients together")
    ema_decay: float = explained(0.995, "decay of the averaged weights; these are the result")
    head: str = explained(
        "", "file whose head is trained on, instead of that of --init; new: begin a new head"
    )
    edge_l1: float = explained(1.0, "weight of the absolute error, edges counted five times")
    slope: float = explained(0.5, "weight of the error of alpha's differences between neighbours")
    bce: float = explained(0.1, "weight of the cross-entropy")


@dataclass(frozen=True)
class BiRefNetConfig(TrainingConfig):
    """Fine-tuning of BiRefNet; the defaults are ToonOut's recipe (arXiv:2509.06839)."""

    # data
    size_px: int = explained(1024, "side of what the network sees, a multiple of 32")
    batch: int = explained(2, "pictures per process and step")
    workers: int = explained(2, "processes that read pictures")
    flip: float = explained(0.5, "share of pictures that are mirrored")
    rotate: float = explained(0.2, "share of pictures that are turned by up to 15 degrees")
    enhance: bool = explained(True, "change brightness, contrast, colour and sharpness at random")
    pepper: float = explained(0.0015, "share of pixels made black or white")
    flat_share: float = explained(
        0.35, "share of cutouts that get a plain background; pictures with their own keep it"
    )
    # optimisation
    epochs: int = explained(46, "epochs to train in all")
    lr: float = explained(1e-5, "learning rate of the first epochs")
    milestones: tuple[int, ...] = explained(
        (20, 40), "epochs after which the learning rate is halved"
    )
    clip: float = explained(100.0, "largest norm of all gradients together")
    ssim: float = explained(10.0, "weight of (1 - SSIM) / 2, for each of the four maps")
    mae: float = explained(90.0, "weight of the absolute error, for each of the four maps")
    iou: float = explained(
        0.25, "weight of 1 - soft IoU, for each of the four maps, summed over two pictures"
    )
    bce: float = explained(
        0.0, "weight of the cross-entropy, for each of the four maps; the published program has 30"
    )
    gradient: float = explained(1.0, "weight of the gradient maps")
    # network
    dropout: float = explained(0.5, "dropout in the decoder's pyramids")
    drop_path: float = explained(0.2, "highest share of skipped branches in the backbone")
    checkpointing: bool = explained(
        False, "compute parts again instead of keeping them: less memory, slower"
    )
    # running
    samples: int = explained(4, "validation pictures in the sheet of each epoch")
    as_published: bool = explained(
        False, "validation pictures enter BatchNorm every 15 steps; IoU sums over any batch"
    )


def write_record(record: Any, path: Path) -> None:
    """Write one of these records for `read_record`. The log names settings that have changed."""
    text = json.dumps(asdict(record), indent=2) + "\n"
    if changes := _changes(path, json.loads(text)):
        log.warning("the run had other settings until now: %s", ", ".join(changes))
    path.write_text(text, encoding="utf-8")


def _changes(path: Path, values: dict[str, Any]) -> list[str]:
    try:
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [
        f"{name} {before[name]}, now {value}"
        for name, value in values.items()
        if name not in _MAY_CHANGE and before.get(name, value) != value
    ]


def read_record(path: Path, record: type[Record], **overrides: Any) -> Record:
    """Read a record of that kind from `path`; `overrides` replace what it says."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} must be a configuration in JSON", str(error)) from error
    known = {item.name for item in fields(cast(Any, record))}
    if unknown := sorted(set(values) - known):
        raise BadInput(
            f"{path} must hold fields of {record.__name__}", f"{', '.join(unknown)} as well"
        )
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()} | overrides
    if missing := [f"--{name}" for name in ("data", "out") if name not in values]:
        raise BadInput("--data and --out must be given", f"no {' and no '.join(missing)}")
    return record(**values)
