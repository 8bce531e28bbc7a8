"""Options of the shell alone: where things run, where files are, what is said."""

from __future__ import annotations

from .models import ALLOW_DOWNLOAD, FAST, MODEL, PRECISION
from .option import choice, number, switch, text, whole

DEVICE = text("device", "auto", "Where networks run: auto, cpu, cuda, cuda:1 or mps.")
MODELS_DIR = text(
    "models_dir", None,
    "Folder with weight files, searched first and downloaded to; may be given several times.",
    metavar="DIR",
)  # fmt: skip
CPU_LINEAR = choice(
    "cpu_linear", "auto", ("auto", "torch", "onednn"),
    "What multiplies float32 matrices on a CPU. auto: a short measurement finds the faster one.",
)  # fmt: skip
RUNNING = (PRECISION, FAST, DEVICE, CPU_LINEAR, ALLOW_DOWNLOAD)
MODELS = MODEL.but(
    help=MODEL.help + " May be given several times.", metavar="NAME|FILE", mistaken=("--models",)
)

OUT = text(
    "out", None, "Folder for the results.", short="-o", metavar="OUT", mistaken=("--output",)
)
OUT_OR_FILE = OUT.but(help="Folder, or file for a single picture, or - for stdout.")
QUIET = switch("quiet", False, "Say nothing but errors.", short="-q")
RECURSIVE = switch("recursive", False, "Read subfolders too.", short="-r")
REPORT = text(
    "report", None, "Write the result or the error of each picture there, as JSON.", metavar="FILE"
)
ON_EXISTS = choice(
    "on_exists", "number", ("number", "skip", "overwrite"),
    "What to do where a result's name is taken. number: take the next free one.",
)  # fmt: skip
OVERWRITE = switch("overwrite", False, "Short for --on-exists overwrite.")
RESUME = switch(
    "resume", False,
    "Skips what OUT/.toonout.jsonl lists as done with the same settings. Replaces results of other "
    "settings, unless somebody changed them.",
)  # fmt: skip
JSON = switch("json", False, "As JSON on stdout.")

SEED = whole("seed", 0, (0, 2**31 - 1), "The same number gives the same pictures.")

# ---------------------------------------------------------------- engine

ENGINE = choice(
    "engine", "local", ("local", "ray"),
    "Where a folder is cut out. ray: on a Ray cluster, by one worker for each of its GPUs, or of "
    "its CPUs if it has no GPU.",
)  # fmt: skip
RAY_ADDRESS = text(
    "ray_address", "",
    "The cluster, as 10.0.0.5:6379 or auto. Without it: what RAY_ADDRESS says, or this machine.",
    metavar="ADDRESS",
)  # fmt: skip
FILES_PER_TASK = whole("files_per_task", 8, (1, 1000), "Pictures that a worker gets at a time.")

# ---------------------------------------------------------------- watch

PAUSE = number(
    "pause", 1.0, (0.05, 3600.0, 0.05),
    "Seconds between two looks at the folder. A file that stays the same from one look to the next "
    "is whole.",
    metavar="SECONDS",
)  # fmt: skip

# ---------------------------------------------------------------- weights

CONVERTED = OUT.but(help="The file to write, a .safetensors.", older=("--output",), mistaken=())
DTYPE = choice(
    "dtype", None, ("fp32", "fp16", "bf16"), "How numbers are stored. Without it: as in the file."
)
REPLACE = switch("replace", False, "Replace OUT if it exists.", flag="--overwrite",
                 older=("--force",))  # fmt: skip
SHARES = number("shares", None, (0.0, 1e6, 0.1), "One share per file. Without it, all are equal.")
MEAN = text(
    "mean", None, "Mean that is subtracted from the picture's values (0 to 1).", metavar="R,G,B"
)
STD = text("std", None, "Standard deviation by which the result is divided.", metavar="R,G,B")
STATED_FIT = text(
    "fit", None, "Stretch to the size (squash), or keep the aspect (pad).", metavar="squash|pad"
)
STATED_SIZE = text(
    "size", None, "Pixels that the network sees.",
    flag="--resolution", older=("--size",), metavar="N|WxH",
)  # fmt: skip
STATED_ORDER = text(
    "patch_order", None, "BiRefNet after or before November 2024.",
    metavar="channel_first|channel_last",
)  # fmt: skip
FEEDING = (MEAN, STD, STATED_FIT, STATED_SIZE, STATED_ORDER)

# ---------------------------------------------------------------- queue

QUEUE_OUT = OUT.but(default="results")
WORKFLOW = text("workflow", None, "A workflow in ComfyUI's API format.", metavar="FILE")
SERVER = text(
    "server", "http://127.0.0.1:8188",
    "Where ComfyUI runs; may be given several times, and the work is spread over all of them.",
    metavar="URL",
)  # fmt: skip
INPUT = text(
    "input", None, "Where the picture goes; without it: its LoadImage node.", metavar="NODE.FIELD"
)
OUTPUT = text(
    "output", None, "Fetch the files of this node only; may be given several times.",
    metavar="NODE",
)  # fmt: skip
IN_FLIGHT = whole("in_flight", 4, (1, 1000), "Prompts in the queue of a server at a time.")
