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
    validate_every: int = explained(
        1, "epochs between validations; 0: never, and the last epoch is the best"
    )
    norms: Literal["batch", "sync", "kept"] = explained(
        "sync",
        "what BatchNorm learns from: the pictures of all processes (sync, on CUDA), those of each "
        "(batch), or nothing (kept)",
    )
    epochs: int = explained(60, "epochs to train in all")
    clip: float = explained(35.0, "largest norm of all gradients together")


@dataclass(frozen=True)
class RTMDetConfig(SceneTraining):
    """RTMDet-Ins of one class."""

    # network, if there is no init
    width: float = explained(
        1.0, "factor for the channels of RTMDet-Ins-L; m has 0.75, s 0.5, tiny 0.375"
    )
    depth: float = explained(1.0, "factor for its blocks; m has 0.67, s 0.33, tiny 0.167")
    # data
    size_px: int = explained(640, "side of what the network sees, a multiple of 32")
    batch: int = explained(16, "pictures per process and step")
    mosaic: float = explained(1.0, "share of pictures that are made of four")
    mixup: float = explained(1.0, "share of pictures that are blended with another")
    plain_epochs: int = explained(10, "last epochs, without mosaic and mixup")
    scales: tuple[float, float] = explained(
        (0.1, 2.0), "least and largest scale of a picture, drawn evenly"
    )
    flip: float = explained(0.5, "share of pictures that are mirrored")
    colours: bool = explained(True, "change hue, saturation and value at random")
    # optimisation
    lr: float = explained(4e-3, "highest learning rate, for steps of --lr-pictures pictures")
    lr_pictures: int = explained(
        64, "pictures per step for which --lr holds; with more or fewer it is scaled. 0: not scaled"
    )
    warmup_steps: int = explained(
        1000, "steps until the highest learning rate is reached; a tenth of all steps at most"
    )
    weight_decay: float = explained(0.05, "of AdamW, not of norms and biases")
    ema_decay: float = explained(
        0.9998, "decay of averaged weights, which are the result; 0: no average"
    )
    ema_steps: int = explained(
        2000, "steps in which the decay of the average grows to its full value"
    )
    score: float = explained(1.0, "weight of the quality focal loss")
    box: float = explained(2.0, "weight of the GIoU loss")
    mask: float = explained(2.0, "weight of the dice loss")
    mask_stride: int = explained(2, "pixels of the input per pixel of the masks compared")


@dataclass(frozen=True)
class RefinerConfig(SceneTraining):
    """The refiner: an IS-Net that sees a picture and the coarse mask of one character."""

    # network, if there is no init
    width: int = explained(64, "channels of the first convolution; all others are multiples of it")
    # data
    size_px: int = explained(720, "side of what the network sees; larger pictures are reduced")
    batch: int = explained(4, "pictures per process and step")
    boxes: float = explained(0.25, "share of coarse masks that are the filled box")
    worn: float = explained(
        0.75, "share of the other coarse masks that are damaged like a detector's"
    )
    grown: float = explained(0.5, "share of all coarse masks that grow or shrink by up to 7 pixels")
    crops: float = explained(0.25, "share of pictures cut to the character's surroundings")
    flip: float = explained(0.5, "share of pictures that are mirrored")
    turn: float = explained(0.3, "share of pictures that are turned by up to 30 degrees")
    shift: float = explained(0.3, "share that are cut or padded by up to 10 % a side")
    colours: bool = explained(
        True, "change contrast, local contrast and number of levels at random"
    )
    # optimisation
    encoder_epochs: int = explained(4, "epochs that first train the encoder of true masks; 0: none")
    lr: float = explained(1e-3, "learning rate")
    schedule: Literal["constant", "cosine"] = explained("constant", "of the learning rate")
    weight_decay: float = explained(5e-3, "of AdamW")
    ema_decay: float = explained(
        0.0, "decay of averaged weights, which then are the result; 0: no average"
    )
    finest: float = explained(5.0, "weight of the finest of six maps, the others weigh 1")
    features: float = explained(1.0, "weight of the distance to the encoded true mask")


@dataclass(frozen=True)
class CharactersConfig(SceneTraining):
    """The head that tells characters apart, on the frozen features of the built-in model."""

    # data
    sizes_px: tuple[int, ...] = explained(
        (384, 448, 512), "sides in pixels; one is drawn for each batch"
    )
    batch: int = explained(8, "pictures per process and step")
    zoom: float = explained(1.4, "pictures are enlarged by up to this factor, and cut")
    stretch: float = explained(0.2, "largest logarithm of width to height that is added")
    flip: float = explained(0.5, "share of pictures that are mirrored")
    colours: bool = explained(True, "change hue, saturation and value at random")
    # optimisation
    lr: float = explained(2e-3, "highest learning rate")
    warmup_steps: int = explained(50, "steps until the highest learning rate is reached")
    weight_decay: float = explained(1e-2, "of AdamW, not of norms and biases")
    ema_decay: float = explained(0.998, "decay of averaged weights, which are the result")
    head: str = explained(
        "", "file whose head is trained on, instead of that of --init; new: begin a new head"
    )
    heat: float = explained(1.0, "weight of the focal loss of centres")
    way: float = explained(1.0, "weight of the error of ways to centres")
    size: float = explained(0.2, "weight of the error of sizes")
