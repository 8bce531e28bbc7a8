"""WEIGHTS is the one table of published weight files. Menus, README and downloads follow from it.

A BiRefNet file does not show its `patch_order`: names and shapes are the same for both. The wrong
order gives a matte that looks plausible and is wrong. A network needs the order that it was trained
with. The authors changed their code on 2024-11-05 (their commit 5198d3f), so ToonOut and what was
published after that day is channel_first, and what was published before is channel_last. Only
ToonOut's order is certain. That of the others follows from their dates, and was not compared on
real weights.

ComfyUI's own nodes offer two files, birefnet-comfy and lucida-comfy, and feed both in the old
order. That is right for the first and wrong for the second, which is a fine-tune of birefnet-hr.

Checksums: that of `toonout` is pinned by three other projects. The others come from at least two
projects, or from one and the beginning of the hash in a second. Where no checksum is known, the
file is compared with what the hub reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .words import NetworkInput, PatchOrder, Task

DETECTOR = "toonout-mini"  # finds characters where nothing else is chosen
REGIONS = "-regions"  # after a matting model: its connected regions, whatever else it knows

_CONVERSIONS = "4d000788a9698c7f8d67c8c6ce2b40c768f5b909"  # commit of 1038lab/BiRefNet
_CARTOON = "bc091c8cd74e234001eeacece6dd45038521254f"  # of dreMaz/AnimeInstanceSegmentation
_BIREFNET = "BiRefNet, arXiv:2401.03407"


@dataclass(frozen=True)
class Weights:
    """One published weight file."""

    name: str
    task: Task
    architecture: str  # id in models.ARCHITECTURES
    purpose: str  # for users who choose
    repo: str  # on the Hugging Face hub; empty: the file is part of this package
    file: str  # in the repository; in assets/ if `repo` is empty
    revision: str  # commit, or "main" where none is pinned
    sha256: str  # empty: compared with what the hub reports for the file
    size_bytes: int
    licence: str  # SPDX id of the weights, not of our code
    source: str  # paper or origin
    input: NetworkInput = field(default_factory=NetworkInput)
    patch_order: PatchOrder = "channel_first"
    same_as: str = ""  # name of the row that holds the same numbers in another file
    size_is_exact: bool = True

    @property
    def embedded(self) -> bool:
        return not self.repo

    @property
    def url(self) -> str:
        """The link to download the file from; empty if the file is part of this package."""
        if self.embedded:
            return ""
        return f"https://huggingface.co/{self.repo}/resolve/{self.revision}/{self.file}"


def _birefnet(
    name: str,
    purpose: str,
    repo: str,
    revision: str,
    sha256: str,
    size_bytes: int,
    patch_order: PatchOrder,
    side_hw: tuple[int, int] = (1024, 1024),
) -> Weights:
    return Weights(
        name=name,
        task="matting",
        architecture="birefnet",
        purpose=purpose,
        repo=repo,
        file="model.safetensors",
        revision=revision,
        sha256=sha256,
        size_bytes=size_bytes,
        licence="MIT",
        source=_BIREFNET,
        input=NetworkInput(side_hw),
        patch_order=patch_order,
        size_is_exact=bool(sha256),
    )


_TOONOUT = Weights(
    name="toonout",
    task="matting",
    architecture="birefnet",
    purpose="anime and cartoon characters, best quality",
    repo="joelseytre/toonout",
    file="birefnet_finetuned_toonout.pth",
    revision="cbf720eca394edcde66b861a8a8c20fbabe9c748",
    sha256="8c7f8a0bc24400f4caade76622f75ff22ca1e93e169add9d2b70093e2487fbe5",
    size_bytes=885_000_000,
    size_is_exact=False,
    licence="MIT",
    source="ToonOut, arXiv:2509.06839",
)

_EP480 = Weights(
    name="birefnet-ep480",
    task="matting",
    architecture="birefnet_ep480",
    purpose="general, the first release of March 2024",
    repo="ViperYX/BiRefNet",
    file="BiRefNet-ep480.pth",
    revision="main",
    sha256="",
    size_bytes=848_968_257,
    size_is_exact=False,
    licence="MIT",
    source=_BIREFNET,
    input=NetworkInput((1024, 1024), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    patch_order="channel_last",
)

WEIGHTS: tuple[Weights, ...] = (
    Weights(
        name="toonout-mini",
        task="matting",
        architecture="lite-unet",
        purpose="anime characters, small and fast, part of this package",
        repo="",
        file="toonout-mini.safetensors",
        revision="",
        sha256="632f25988ad2ba8fff343998f61c7e7f9168d1124dc63be1b3917661e40bc001",
        size_bytes=8_657_064,
        licence="CC-BY-SA-4.0",
        source="this project; EfficientNet-Lite, arXiv:1905.11946",
        input=NetworkInput((512, 512), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ),
    _TOONOUT,
    replace(
        _TOONOUT,
        name="toonout-safetensors",
        purpose="the same as toonout, as safetensors",
        repo="1038lab/BiRefNet",
        file="BiRefNet_toonout.safetensors",
        revision=_CONVERSIONS,
        sha256="5ff451d2e1d15dd22a66efea05640f79e470467f89f8bdc239a81a6757f66093",
        size_bytes=884_878_824,
        size_is_exact=True,
        same_as="toonout",
    ),
    replace(
        _TOONOUT,
        name="lucida",
        purpose="illustrations, text and glow; a fine-tune of birefnet-hr",
        repo="1038lab/BiRefNet",
        file="Lucida.safetensors",
        revision=_CONVERSIONS,
        sha256="2f1aa6913426537d4b93dd5f7138ae5c6664e99abda98c95f3d5b9101283e7d5",
        size_bytes=884_878_856,
        size_is_exact=True,
        source="egeorcun/lucida; " + _BIREFNET,
    ),
    replace(
        _TOONOUT,
        name="lucida-original",
        purpose="illustrations, text and glow; the newest release of lucida's author",
        repo="egeorcun/lucida",
        file="model.safetensors",
        revision="main",
        sha256="",
        size_bytes=884_878_856,
        source="egeorcun/lucida; " + _BIREFNET,
    ),
    replace(
        _TOONOUT,
        name="lucida-comfy",
        purpose="illustrations, text and glow; the file that ComfyUI's own nodes offer",
        repo="Comfy-Org/BiRefNet",
        file="background_removal/lucida.safetensors",
        revision="main",
        sha256="",
        size_bytes=884_878_856,
        source="egeorcun/lucida; " + _BIREFNET,
    ),
    replace(
        _birefnet(
            "birefnet-comfy",
            "general; the file that ComfyUI's own nodes offer",
            "Comfy-Org/BiRefNet",
            "main",
            "",
            444_473_596,
            "channel_last",
        ),
        file="background_removal/birefnet.safetensors",
    ),
    _birefnet(
        "birefnet",
        "general",
        "ZhengPeng7/BiRefNet",
        "e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4",
        "9ab37426bf4de0567af6b5d21b16151357149139362e6e8992021b8ce356a154",
        444_473_596,
        "channel_last",
    ),
    _birefnet(
        "birefnet-hr",
        "general, large pictures",
        "ZhengPeng7/BiRefNet_HR",
        "a7a562f6fd16021180f2f4348f4de003a2d3d1e1",
        "9d678bafec0b0019fbb073b7fd02f05ede25dc4b15254f23b2fb0be333200c0d",
        444_473_596,
        "channel_first",
        (2048, 2048),
    ),
    _birefnet(
        "birefnet-hr-matting",
        "hair and soft edges, large pictures",
        "ZhengPeng7/BiRefNet_HR-matting",
        "5d6b6f8adcb5b417c871b1d84ceaae9871355b7f",
        "a5a4de698739ea5e0e8bbab28e1b293dde95092b87a442d566cbc585c53cef55",
        444_473_596,
        "channel_first",
        (2048, 2048),
    ),
    _birefnet(
        "birefnet-dynamic",
        "general, any size from 256 to 2304",
        "ZhengPeng7/BiRefNet_dynamic",
        "280306042f57b7a33854319da62fd86aaa89ec4c",
        "e3d2e4884e51ff30f0cd630edc6b1e41b06b7f23a0a2a5169f7b7cb33a711c2d",
        444_473_596,
        "channel_first",
    ),
    _birefnet(
        "birefnet-dynamic-matting",
        "hair and soft edges, any size from 256 to 2304",
        "ZhengPeng7/BiRefNet_dynamic-matting",
        "074df545be87034e74a96bf71566ecbbc4c15f0a",
        "",
        444_473_596,
        "channel_first",
    ),
    replace(
        _TOONOUT,
        name="birefnet-512",
        purpose="general, fast",
        repo="1038lab/BiRefNet",
        file="BiRefNet_512x512.safetensors",
        revision=_CONVERSIONS,
        sha256="d94ae0eefb2d2020192001e984ecd6b367478118257a3132e6a484bbf18b0f41",
        size_bytes=444_473_596,
        size_is_exact=True,
        source=_BIREFNET,
        input=NetworkInput((512, 512)),
    ),
    _birefnet(
        "birefnet-matting",
        "hair and soft edges",
        "ZhengPeng7/BiRefNet-matting",
        "eccde0a8cbdce7ac5fecfeb06340fe7b949e85d9",
        "a9875de5b1e6c8eb5fdaa8c727a82927ce442cdc87ba3abee6a77e6fa46c25bb",
        884_878_856,
        "channel_last",
    ),
    _birefnet(
        "birefnet-portrait",
        "people",
        "ZhengPeng7/BiRefNet-portrait",
        "b6561965a70070d9143fd9e558f6ca3c481510db",
        "4a4eb3a5469b75f0cccaec6772c22fc30e6c12ed429c2c0ba71b43e3d8d97182",
        884_878_856,
        "channel_last",
    ),
    _birefnet(
        "birefnet-lite",
        "general, light",
        "ZhengPeng7/BiRefNet_lite",
        "7838f1c3472f827cd8ce13ab5ccc2ce48077360f",
        "4417d89795250e698c3cb0ae8df15743810065f646f48a694fdfa7ca052d0815",
        177_634_392,
        "channel_last",
    ),
    _birefnet(
        "birefnet-lite-2k",
        "general, light, wide pictures",
        "ZhengPeng7/BiRefNet_lite-2K",
        "67d658fa863b1e716c3854270645e68860007d0e",
        "aa2e4a5af5eb3904694feb40f2b39ec5dd7cd9110906590cfeb982f09a46021d",
        177_634_392,
        "channel_last",
        (1440, 2560),
    ),
    _birefnet(
        "birefnet-lite-matting",
        "hair and soft edges, light",
        "ZhengPeng7/BiRefNet_lite-matting",
        "99c33412e3f58e1f33187abdc8c435c645243690",
        "ce8bcfc045e336322c0424a5863dcfb7e9ce8fed0a5fd4d1b2b20adf12d97243",
        88_965_896,
        "channel_first",
    ),
    *(
        _birefnet(
            f"birefnet-{name.lower().replace('_', '-')}",
            purpose,
            f"ZhengPeng7/BiRefNet-{name}",
            "main",
            "",
            885_000_000,
            "channel_last",
        )
        for name, purpose in (
            ("legacy", "general, the release of summer 2024"),
            ("DIS5K", "thin structures (DIS5K benchmark)"),
            ("DIS5K-TR_TEs", "thin structures (all of DIS5K)"),
            ("COD", "camouflaged objects"),
            ("HRSOD", "the most salient object"),
        )
    ),
    Weights(
        name="isnet-anime",
        task="matting",
        architecture="isnet",
        purpose="anime characters, the classic of 2022",
        repo="skytnt/anime-seg",
        file="isnetis.ckpt",
        revision="main",
        sha256="",
        size_bytes=204_200_000,
        size_is_exact=False,
        licence="Apache-2.0",
        source="SkyTNT/anime-segmentation; IS-Net, arXiv:2203.03041",
        input=NetworkInput((1024, 1024), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "pad", fill=0.0),
    ),
    _EP480,
    replace(
        _EP480,
        name="birefnet-ep580-dis",
        purpose="thin structures, the first release of March 2024",
        file="BiRefNet-DIS_ep580.pth",
    ),
    Weights(
        name="anime-instances",
        task="instances",
        architecture="rtmdet_ins",
        purpose="finds every anime character, a mask each",
        repo="dreMaz/AnimeInstanceSegmentation",
        file="rtmdetl_e60.ckpt",
        revision=_CARTOON,
        sha256="8052de69f831188cbe7331500c9cf73252d73f2a22da9c2eb9f6414d0366fb36",
        size_bytes=230_000_000,
        size_is_exact=False,
        licence="MIT",
        source="Instance-guided Cartoon Editing, arXiv:2312.01943; RTMDet, arXiv:2212.07784",
        input=NetworkInput((640, 640), fit="pad", fill=114 / 255),
    ),
    Weights(
        name="anime-refiner",
        task="refine",
        architecture="isnet_refiner",
        purpose="sharpens the masks of anime-instances",
        repo="dreMaz/AnimeInstanceSegmentation",
        file="refine_last.ckpt",
        revision=_CARTOON,
        sha256="c41a7c1cd54e63c1492d273466a540b6bff71ce9c2a01877add52bec554635a6",
        size_bytes=177_000_000,
        size_is_exact=False,
        licence="MIT",
        source="Instance-guided Cartoon Editing, arXiv:2312.01943; IS-Net, arXiv:2203.03041",
        input=NetworkInput((720, 720), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "pad", fill=0.0),
    ),
)


# the models that a table for anime compares, the one that needs no download first
ANIME = ("toonout-mini", "toonout", "lucida", "isnet-anime", "birefnet")


def find(name: str) -> Weights | None:
    """Return the row of that name, or None."""
    return next((row for row in WEIGHTS if row.name == name), None)


def detectors() -> list[str]:
    """List the names that find characters, as menus show them: those that need no download come
    first.
    """
    found = [row.name for row in WEIGHTS if row.task == "instances"]
    return [DETECTOR, DETECTOR + REGIONS, *found]
