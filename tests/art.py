"""A tiny library of drawn figures, for tests that need art of known alpha."""

import numpy as np
from PIL import Image, ImageDraw


def draw_figure(index, size=(60, 90)):
    """A creature of two discs and a body, with soft edges."""
    rng = np.random.default_rng(index)
    big = Image.new("RGBA", (size[0] * 4, size[1] * 4))
    draw = ImageDraw.Draw(big)
    width, height = big.size
    for _ in range(4):
        x, y, r = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height, width * 0.25
        colour = (*(int(c) for c in rng.integers(0, 256, 3)), 255)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return big.resize(size, Image.Resampling.LANCZOS)


def draw_background(index, size=(96, 80)):
    rng = np.random.default_rng(1000 + index)
    small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def write_library(root, figures=6, backgrounds=4):
    """`fg/{train,val,test}` and `bg/{train,val,test}` under `root`."""
    for number, split in enumerate(("train", "val", "test")):
        (root / "fg" / split).mkdir(parents=True)
        (root / "bg" / split).mkdir(parents=True)
        for i in range(figures):
            draw_figure(100 * number + i).save(root / "fg" / split / f"{split}-{i}.png")
        for i in range(backgrounds):
            draw_background(100 * number + i).save(root / "bg" / split / f"{split}-{i}.png")
    return root
