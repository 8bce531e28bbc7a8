"""What trainings of the instance networks are made of: the recipe of arXiv:2312.01943.

What that paper does not say is that of RTMDet (arXiv:2212.07784), or this package's own. The head
of the built-in model has a recipe of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .config import TrainingConfig, explained


@dataclass(frozen=True)
class SceneTraining(TrainingConfig):
    """What all three have: how they are validated, what BatchNorm does."""

    samples: int = explained(4, "validation pictures in the sheet of each epoch")
    validate_every: int = explained(1, "epochs, and after the last; 0: never, the last is the best")
    norms: Literal["batch", "sync", "kept"] = explained(
        "sync", "BatchNorm sees all processes' pictures (cuda), its own's, or keeps its values"
    )
    epochs: int = explained(60, "to train in all")
    clip: float = explained(35.0, "largest norm of all gradients together")


@dataclass(frozen=True)
class RTMDetConfig(SceneTraining):
    """RTMDet-Ins of one class."""

    # network, if there is no init
    width: float = explained(1.0, "of RTMDet-Ins-L's channels; m 0.75, s 0.5, tiny 0.375")
    depth: float = explained(1.0, "of its blocks; m 0.67, s 0.33, tiny 0.167")
    # data
    size_px: int = explained(640, "side of what the network sees, a multiple of 32")
    batch: int = explained(16, "pictures per process and step")
    mosaic: float = explained(1.0, "share of pictures that are made of four")
    mixup: float = explained(1.0, "share of pictures that shine through another")
    plain_epochs: int = explained(10, "last ones, without either")
    scales: tuple[float, float] = explained((0.1, 2.0), "of a picture, drawn evenly")
    flip: float = explained(0.5, "share of pictures that are mirrored")
    colours: bool = explained(True, "hue, saturation and value by chance")
    # optimisation
    lr: float = explained(4e-3, "highest learning rate, for steps of lr_pictures")
    lr_pictures: int = explained(64, "the rate is in proportion to the pictures a step; 0: as said")
    warmup_steps: int = explained(1000, "to reach it, a tenth of all steps at most")
    weight_decay: float = explained(0.05, "of AdamW, not of norms and biases")
    ema_decay: float = explained(0.9998, "of averaged weights, which are the result; 0: none")
    ema_steps: int = explained(2000, "in which the average stops to be of the last steps only")
    score: float = explained(1.0, "weight of the quality focal loss")
    box: float = explained(2.0, "weight of the GIoU loss")
    mask: float = explained(2.0, "weight of the dice loss")
    mask_stride: int = explained(2, "pixels of the input per pixel of the masks compared")


@dataclass(frozen=True)
class RefinerConfig(SceneTraining):
    """The refiner: an IS-Net that sees a picture and the coarse mask of one character."""

    # network, if there is no init
    width: int = explained(64, "channels of the first convolution, of which all are multiples")
    # data
    size_px: int = explained(720, "side of what the network sees; larger pictures are reduced")
    batch: int = explained(4, "pictures per process and step")
    boxes: float = explained(0.25, "share of coarse masks that are the filled box")
    worn: float = explained(0.75, "share of the others that are as coarse as a detector's")
    grown: float = explained(0.5, "share of all that grow or shrink by up to 7 pixels")
    crops: float = explained(0.25, "share of pictures cut to the character's surroundings")
    flip: float = explained(0.5, "share of pictures that are mirrored")
    turn: float = explained(0.3, "share that are turned by up to 30 degrees")
    shift: float = explained(0.3, "share that are cut or padded by up to 10 % a side")
    colours: bool = explained(True, "contrast, local contrast and fewer levels by chance")
    # optimisation
    encoder_epochs: int = explained(4, "before the others, of the encoder of true masks; 0: none")
    lr: float = explained(1e-3, "learning rate")
    schedule: Literal["constant", "cosine"] = explained("constant", "of the learning rate")
    weight_decay: float = explained(5e-3, "of AdamW")
    ema_decay: float = explained(0.0, "of averaged weights, which are the result then; 0: none")
    finest: float = explained(5.0, "weight of the finest of six maps, the others weigh 1")
    features: float = explained(1.0, "weight of the distance to the encoded true mask")


@dataclass(frozen=True)
class CharactersConfig(SceneTraining):
    """The head that tells characters apart, on the frozen features of the built-in model."""

    # data
    sizes_px: tuple[int, ...] = explained((384, 448, 512), "one is drawn for each batch")
    batch: int = explained(8, "pictures per process and step")
    zoom: float = explained(1.4, "pictures are enlarged by up to that, and cut")
    stretch: float = explained(0.2, "largest logarithm of width to height that is added")
    flip: float = explained(0.5, "share of pictures that are mirrored")
    colours: bool = explained(True, "hue, saturation and value by chance")
    # optimisation
    lr: float = explained(2e-3, "highest learning rate")
    warmup_steps: int = explained(50, "to reach it")
    weight_decay: float = explained(1e-2, "of AdamW, not of norms and biases")
    ema_decay: float = explained(0.998, "of averaged weights, which are the result")
    head: str = explained("", "weights whose head to go on with instead of init's; new: a new one")
    heat: float = explained(1.0, "weight of the focal loss of centres")
    way: float = explained(1.0, "weight of the error of ways to centres")
    size: float = explained(0.2, "weight of the error of sizes")
