"""Which model is used, where its file comes from, and where it runs."""

from __future__ import annotations

from .option import choice, switch, whole

PRECISIONS = ("auto", "fp32", "fp16", "bf16")

MODEL = choice(
    "model", "toonout-mini", (),
    "A published model by name, or a weight file of a known network. toonout-mini is part of "
    "ToonOut; toonout is the full-quality one (885 MB), downloaded on first use.",
    metavar="NAME|FILE",
)  # fmt: skip
PRECISION = choice(
    "precision", "auto", PRECISIONS,
    "auto: fp16 where the device computes it fast and the model works well in it, else fp32.",
)  # fmt: skip
FAST = switch(
    "fast", False,
    "Where precision is auto: BiRefNet computes in bf16 on a processor that has it in hardware. It "
    "takes about half of the time, and alpha differs by less than 0.001 on average.",
)  # fmt: skip
ALLOW_DOWNLOAD = switch(
    "allow_download", True,
    "Off: never use the network; a model that is not there is an error.",
    flag="--download",
)  # fmt: skip
PATCH_ORDER = choice(
    "patch_order", "auto", ("auto", "new", "old"),
    "Only for BiRefNet files: the order in which the network was trained to see picture patches. "
    "auto: what the file states, then what is known of published files, else new. With a "
    "wrong order, mattes are worse, and there is no error.",
)  # fmt: skip
RESOLUTION = whole(
    "resolution", 0, (0, 4096, 32),
    "Side of the square that the network sees. 0: the model's own size, which is best for nearly "
    "all pictures. toonout-mini then sees pictures up to 1000 px at 512, and from 1800 px on at "
    "1024. The result always has the picture's own size.",
)  # fmt: skip
LOADER_RESOLUTION = RESOLUTION.but(
    help="For older graphs only. Set resolution in Cut Out Character, or in ComfyUI's Remove "
    "Background, instead: it overrides this one."
)
DETECTOR_RESOLUTION = RESOLUTION.but(
    help="Side of the square that the detector sees. 0: what it was trained with. Larger finds "
    "smaller characters.",
)
DETECTOR = choice(
    "detector", "toonout-mini", (),
    "Finds the characters. toonout-mini needs no download and separates characters that touch. "
    "anime-instances (230 MB) is made for anime; files of RTMDet-Ins and YOLOv8-seg work too. With "
    "toonout-mini-regions or another matting model every connected region of the matte is a "
    "character.",
    metavar="NAME|FILE", mistaken=("--model",),
)  # fmt: skip
REFINER = choice(
    "refiner", "auto", (),
    "Sharpens the masks. auto: anime-refiner (177 MB) behind a detector, nothing behind a matting "
    "model. A matting model here cuts masks to its foreground. none: masks stay as they are.",
    metavar="NAME|FILE",
)  # fmt: skip
FRAMES_PER_STEP = whole(
    "frames_per_step", 1, (1, 64),
    "Frames on the device at one time; halved by itself when memory runs out.",
)  # fmt: skip
