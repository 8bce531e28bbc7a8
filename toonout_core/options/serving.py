"""Options of `toonout serve`."""

from __future__ import annotations

from .option import switch, text, whole

ADDRESS = text(
    "address", "127.0.0.1",
    "Where the server listens. With any other address, other machines can use it too, without a "
    "password.",
    mistaken=("--host",),
)  # fmt: skip
PORT = whole("port", 7000, (1, 65535), "The number behind the address.")
URLS = switch(
    "url", True,
    "Fetch pictures from addresses on the public internet, for GET /api/remove. Never from this "
    "machine or a private network.",
)  # fmt: skip
MEGABYTES = whole("megabytes", 64, (1, 1024), "The largest request.", metavar="MB")
MEGAPIXELS = whole(
    "megapixels", 25, (1, 1000),
    "The largest picture. A request takes about 100 MB of memory for each megapixel.",
)  # fmt: skip
KEPT_MODELS = whole(
    "kept_models", 1, (0, 8), "Models kept in memory. 0: a model is forgotten after every picture."
)
WAITING = whole(
    "waiting", 16, (1, 1000),
    "Requests that are taken at a time. More are answered with 503, which means: try again later.",
)  # fmt: skip
SERVING = (ADDRESS, PORT, URLS, MEGABYTES, MEGAPIXELS, KEPT_MODELS, WAITING)
