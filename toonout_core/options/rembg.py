"""What users of rembg are used to, by its own names, and what each means here."""

from __future__ import annotations

from .option import switch, text, whole

MODEL = text(
    "model", "",
    "A model of ToonOut, or a model name of rembg. Without it: the server's model.",
)  # fmt: skip
ALPHA_MATTING = switch("a", False, "Alpha matting. Not needed here: every matte is soft.")
FOREGROUND_THRESHOLD = whole("af", 240, (0, 255), "For alpha matting. It changes nothing here.")
BACKGROUND_THRESHOLD = whole("ab", 10, (0, 255), "For alpha matting. It changes nothing here.")
ERODE_SIZE = whole("ae", 10, (0, 255), "For alpha matting. It changes nothing here.")
ONLY_MASK = switch("om", False, "The mask alone, white is the character.")
POST_PROCESS = switch("ppm", False, "Removes small specks, as drop_specks_px does.")
BACKGROUND = text("bgc", "", "A colour behind the character: red, green, blue and alpha, 0 … 255.")
EXTRAS = text("extras", "", "More options of ToonOut, as one JSON object.")

REMBG = (
    *(MODEL, ALPHA_MATTING, FOREGROUND_THRESHOLD, BACKGROUND_THRESHOLD, ERODE_SIZE),
    *(ONLY_MASK, POST_PROCESS, BACKGROUND, EXTRAS),
)

SPECK_AREA = 64  # of drop_specks_px: what rembg's opening by 3×3 pixels and its blur remove

# rembg's models → ours with the same weights; "": there is none, and the usual model is used
MODELS = {
    "birefnet-general": "birefnet",
    "birefnet-general-lite": "birefnet-lite",
    "birefnet-dis": "birefnet-dis5k",
    **dict.fromkeys(
        ("u2net", "u2netp", "u2net_human_seg", "u2net_cloth_seg", "silueta", "isnet-general-use",
         "birefnet-massive", "bria-rmbg", "sam"), ""
    ),
}  # fmt: skip

# its verbs → ours, for whoever types them
VERBS = {"i": "cutout", "p": "cutout", "b": "cutout --raw", "s": "serve", "d": "weights download"}
