"""Options of a cutout: how the picture is seen, edges and colours, the matte, the background."""

from __future__ import annotations

from .option import choice, number, switch, text, whole

_AREA = (0, 100_000_000)

# ---------------------------------------------------------------- the picture, edges and colours

FIT = choice(
    "fit", "auto", ("auto", "squash", "pad"),
    "auto: as the model was trained. squash: the whole square is used. pad: keeps the aspect; try "
    "it for very wide or tall pictures.",
)  # fmt: skip
DETAIL = switch(
    "detail", False,
    "For pictures that are larger than what the model sees: edges are drawn anew at full size, so "
    "that edges and hairs become finer. On a processor it takes about a second for each megapixel.",
)  # fmt: skip
STEADY = switch(
    "steady", False,
    "For clips whose edges flicker: the previous matte is moved along with the picture and mixed "
    "in, where both frames show the same. Never across cuts.",
)  # fmt: skip
SOUND = switch("sound", True, "Keeps the sound of a clip.")
RAW = text(
    "raw", None,
    "Reads frames of that size from stdin, as bare RGB bytes, and writes each to stdout at once: "
    "RGBA, grey with --mask-only, RGB with --background.",
    metavar="WxH",
)  # fmt: skip
SOURCE_ALPHA = choice(
    "source_alpha", "multiply", ("multiply", "ignore"),
    "What happens to alpha that the picture already has. multiply: its transparent parts stay "
    "transparent. ignore: only the colours are looked at.",
    label="Alpha that is there already",
)  # fmt: skip
CLEAN_COLOURS = switch(
    "clean_colours", True,
    "Estimates the character's colours in soft edges, so that no halo of the old background stays. "
    "Off: faster, the colours stay as they are.",
    flag="--foreground",
)  # fmt: skip
FOREGROUND_METHOD = choice(
    "foreground_method", "inversion", ("inversion", "blur-fusion"),
    "inversion: also looks at the old background beside the edge, which is cleaner. blur-fusion: "
    "as published; it is softer, and more of the old background stays.",
    label="Method of the colours",
)  # fmt: skip
RADIUS = whole(
    "radius_px", 90, (1, 1000),
    "Window of the first pass: how far colours travel into a soft edge.",
)  # fmt: skip
REFINE_RADIUS = whole(
    "refine_radius_px", 6, (0, 1000),
    "Window of the second pass, which keeps fine detail. 0: one pass only.",
)  # fmt: skip

# ---------------------------------------------------------------- the matte

BLACK_POINT = number(
    "black_point", 0.0, (0.0, 0.99, 0.01), "Alpha up to this value becomes fully transparent.",
    flag="--black",
)  # fmt: skip
WHITE_POINT = number(
    "white_point", 1.0, (0.01, 1.0, 0.01),
    "Alpha from this value on becomes fully opaque. Must be above the black point.",
    flag="--white",
)  # fmt: skip
GAMMA = number(
    "gamma", 1.0, (0.1, 10.0, 0.05),
    "Above 1 the soft edge becomes lighter (fuller), below 1 thinner.",
)  # fmt: skip
GROW = number(
    "grow_px", 0.0, (-200.0, 200.0, 0.25),
    "Pixels by which the edge moves outwards; negative: inwards. Parts of a pixel count.",
)  # fmt: skip
FEATHER = number(
    "feather_px", 0.0, (0.0, 200.0, 0.25), "Softens the edge by that many pixels."
)  # fmt: skip
FILL_HOLES = whole(
    "fill_holes_px", 0, _AREA, "Holes of at most that many pixels are closed.",
    label="Fill holes (px²)", metavar="AREA",
)  # fmt: skip
DROP_SPECKS = whole(
    "drop_specks_px", 0, _AREA, "Loose specks of at most that many pixels are removed.",
    label="Drop specks (px²)", metavar="AREA",
)  # fmt: skip
INVERT = switch(
    "invert", False, "Removes the character and keeps the background, in cutout and mask."
)
MATTE = (BLACK_POINT, WHITE_POINT, GAMMA, GROW, FEATHER, FILL_HOLES, DROP_SPECKS)

# ---------------------------------------------------------------- the background

COLOUR = text(
    "colour", "#00ff00",
    "Behind the character: #rrggbb or a name such as white. A background picture covers it.",
)  # fmt: skip
BACKGROUND_FIT = choice(
    "background_fit", "cover", ("cover", "contain", "stretch"),
    "How the background is fitted to the picture. cover: cuts what sticks out. contain: shows all "
    "of it, with bars of the colour. stretch: distorts it.",
    label="Fit of the background",
)  # fmt: skip
COMPOSE_FIT = BACKGROUND_FIT.but(name="fit")
NODE_BACKGROUND = choice(
    "background", "transparent", ("transparent", "colour"),
    "The cutout's background. colour: the colour below; then the cutout is RGB, as Save Video and "
    "VAE Encode want it.",
)  # fmt: skip
NODE_COLOUR = COLOUR.but(
    default="#ffffff", help="Behind the character, where background is colour: #rrggbb or a name."
)
MASK_IS_TRANSPARENCY = switch(
    "mask_is_transparency", False,
    "For masks of Load Image and Load Image (as Mask), where white is transparent. Off: white is "
    "the character, as everywhere in this pack.",
)  # fmt: skip
BACKGROUND = text(
    "background", None, "Put the character on a colour ('#ff00ff', white) or a picture.",
    metavar="COLOUR|FILE",
)  # fmt: skip

# ---------------------------------------------------------------- pages and routes

RESULT = choice(
    "output", "cutout", ("cutout", "mask", "cutout + mask"),
    "What is made. White in the mask is the character.",
)  # fmt: skip
BEHIND = choice(
    "background", "transparent", ("transparent", "colour", "picture"),
    "The background of the cutout.",
)  # fmt: skip
CROP = switch("crop", False, "Cuts off what is empty.", label="Crop to the subject")
MARGIN = whole(
    "margin_px", 0, (0, 4096), "Margin around the character, if the picture has room for it."
)  # fmt: skip
CROP_ASPECT = text(
    "aspect", "",
    "Width and height of the crop, as 1:1 or 3:4: it is made wider or taller for it. Empty: any.",
    label="Aspect of the crop", metavar="W:H",
)  # fmt: skip
CROPPING = (CROP, MARGIN, CROP_ASPECT)
