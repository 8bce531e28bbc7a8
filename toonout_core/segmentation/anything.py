"""Find segments of everything in a picture, by Segment Anything (arXiv:2304.02643).

Its network and its generator come from the package `segment-anything` (Apache-2.0), which the extra
`sam` installs. The checkpoint is one that the user has. Only its tensors are read.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import BadInput, CorruptWeights, UnknownModel, needs
from ..host import Host, Step
from ..imaging import to_array
from ..models.architecture import Architecture, StateDict, count_items
from ..ops.resizing import resize
from ..portions import in_halves
from ..weight_files.locating import find_path
from ..weight_files.reading import read_state
from ..words import NetworkInput

log = logging.getLogger("toonout")

# by the names that their authors gave them
_PUBLISHED = {
    "sam_vit_b": "sam_vit_b_01ec64.pth",
    "sam_vit_l": "sam_vit_l_0b3195.pth",
    "sam_vit_h": "sam_vit_h_4b8939.pth",
}
_ADDRESS = "https://dl.fbaipublicfiles.com/segment_anything/"
_ENCODER = "image_encoder"
_DECODER = "mask_decoder"
_DECODER_HEADS = 8  # of every published size
_POINTS_AT_ONCE = 64
_MASK_BYTES = 2**30  # for the masks of that many points: more take turns


@dataclass(frozen=True)
class SegmentAnythingOptions:
    """What counts as a segment. The defaults are those of "Anime Character Segmentation with YOLOv8
    and Segment-Anything".

    `min_iou`: how good the network must think its mask is. `min_stability`: the IoU that the masks
    at two thresholds must have. `points`: how many lie along a side of the picture and of every
    crop. In each of `crop_layers` there are twice as many crops along a side, with `points` divided
    by `downscale`. `max_side_px`: larger pictures are reduced to it.
    """

    min_iou: float = 0.6
    min_stability: float = 0.8
    points: int = 32
    crop_layers: int = 1
    downscale: int = 1
    max_side_px: int = 1920


def segment_anything(
    image: Tensor,
    checkpoint: str | Path,
    host: Host,
    options: SegmentAnythingOptions = SegmentAnythingOptions(),
) -> Tensor:
    """1×3×H×W in [0, 1] → its segments M×h×w bool on the CPU, reduced to `max_side_px`.

    `checkpoint`: a file of the original form (ViT-B, -L, -H), its name in the host's folders, or
    "sam_vit_b", "sam_vit_l", "sam_vit_h". It is read once, as long as the same `host` asks for it.
    Raises ToonOutError without the package, UnknownModel without the file, CorruptWeights if it is
    something else.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise BadInput("image must be 1×3×H×W", f"shape {tuple(image.shape)}")
    network = _network(_find(str(checkpoint), host), host)
    reduced = _reduced(image.cpu(), options.max_side_px)
    size_hw = int(reduced.shape[-2]), int(reduced.shape[-1])
    found: list[dict[str, Any]] = []

    def generate(points: int, _: torch.device) -> None:
        generator = _generator(network, points, options)
        batches = _count_batches(generator)
        with host.progress(batches, "segment anything") as report, _reporting(network, report):
            found[:] = _generate(generator, reduced)

    in_halves(
        host, min(max(_MASK_BYTES // _bytes_per_point(size_hw), 1), _POINTS_AT_ONCE),
        lambda points: host.on_device(network, _working_memory(network, size_hw, points)),
        generate, kind=("segment anything", size_hw),
        sentence=(
            "Segment Anything must have more memory than the device has, even for one point at a "
            "time. Make the picture smaller or run on the CPU."
        ),
    )  # fmt: skip
    segments = torch.zeros((len(found), *size_hw), dtype=torch.bool)
    for segment, record in zip(segments, found, strict=True):
        segment.copy_(torch.from_numpy(record["segmentation"]))
    return segments


def _package() -> Any:
    try:
        import segment_anything as package
    except ImportError as error:
        advice = "Or connect segments from another node."
        raise needs("Segment Anything", "segment-anything", "sam", advice) from error
    return package


def _find(checkpoint: str, host: Host) -> Path:
    name = _PUBLISHED.get(checkpoint, checkpoint)
    try:
        return find_path(name, host)
    except UnknownModel as error:
        address = _ADDRESS + (name if name in _PUBLISHED.values() else _PUBLISHED["sam_vit_l"])
        folders = ", ".join(map(str, host.weight_dirs()))
        raise UnknownModel(
            f"The checkpoint must be a file of Segment Anything, but {checkpoint} is not there. "
            f"Get {address} and put it into ComfyUI's models/sams or one of the folders that are "
            f"searched: {folders}."
        ) from error


def _reduced(image: Tensor, side_px: int) -> Tensor:
    height, width = int(image.shape[-2]), int(image.shape[-1])
    ratio = min(side_px / max(height, width), 1)
    return resize(image, (max(int(height * ratio), 1), max(int(width * ratio), 1)))


# ---------------------------------------------------------------- the network


# host → what it used last: a batch of pictures is a call for each, and a file has up to 2.6 GB
_used_last: WeakKeyDictionary[Host, tuple[Hashable, nn.Module]] = WeakKeyDictionary()


def _network(path: Path, host: Host) -> nn.Module:
    status = path.stat()
    origin = (path.resolve(), status.st_size, status.st_mtime_ns)
    used, network = _used_last.get(host, (None, None))
    if network is None or used != origin:
        _used_last.pop(host, None)  # never two at a time
        del network
        network = _load(path)
        _used_last[host] = (origin, network)
    return network


def _load(path: Path) -> nn.Module:
    _package()
    state, _ = read_state(path)
    if not _ARCHITECTURE.matches(state):
        raise CorruptWeights(
            f"{path} must be a Segment Anything checkpoint of the original form (ViT-B, -L or "
            f"-H), but is another network. Get one from {_ADDRESS}{_PUBLISHED['sam_vit_l']}."
        )
    try:
        floats = {key: value.to(torch.float32) for key, value in state.items()}
        return _ARCHITECTURE.load(floats)
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error


def _build(state: StateDict) -> nn.Module:
    """Make a network of the shapes in `state`, put together from the package's parts."""
    parts = _package().modeling
    _, cells, _, width = state[f"{_ENCODER}.pos_embed"].shape
    patch = int(state[f"{_ENCODER}.patch_embed.proj.weight"].shape[-1])
    depth = count_items(state, f"{_ENCODER}.blocks")
    tables = [state[f"{_ENCODER}.blocks.{i}.attn.rel_pos_h"] for i in range(depth)]
    spans = [(len(table) + 1) // 2 for table in tables]  # cells that a block attends to
    channels = int(state[f"{_ENCODER}.neck.0.weight"].shape[0])
    encoder = parts.ImageEncoderViT(
        img_size=cells * patch,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=width // tables[0].shape[1],
        mlp_ratio=state[f"{_ENCODER}.blocks.0.mlp.lin1.weight"].shape[0] / width,
        out_chans=channels,
        norm_layer=_layer_norm,
        use_rel_pos=True,
        window_size=min(spans),
        global_attn_indexes=[i for i, span in enumerate(spans) if span == cells],
    )
    prompts = parts.PromptEncoder(
        embed_dim=channels,
        image_embedding_size=(cells, cells),
        input_image_size=(cells * patch, cells * patch),
        mask_in_chans=int(state["prompt_encoder.mask_downscaling.3.weight"].shape[0]),
    )
    network = parts.Sam(encoder, prompts, _build_decoder(state, channels, parts))
    # not in the file, and without values where networks are built
    for name, values in (
        ("pixel_mean", (123.675, 116.28, 103.53)),
        ("pixel_std", (58.395, 57.12, 57.375)),
    ):
        buffer = torch.tensor(values, device="cpu").view(3, 1, 1)
        network.register_buffer(name, buffer, persistent=False)
    return network


def _build_decoder(state: StateDict, channels: int, parts: Any) -> nn.Module:
    rating = f"{_DECODER}.iou_prediction_head.layers"
    return parts.MaskDecoder(
        transformer_dim=channels,
        transformer=parts.TwoWayTransformer(
            depth=count_items(state, f"{_DECODER}.transformer.layers"),
            embedding_dim=channels,
            num_heads=_DECODER_HEADS,
            mlp_dim=int(state[f"{_DECODER}.transformer.layers.0.mlp.lin1.weight"].shape[0]),
        ),
        num_multimask_outputs=len(state[f"{_DECODER}.mask_tokens.weight"]) - 1,
        iou_head_depth=count_items(state, rating),
        iou_head_hidden_dim=len(state[f"{rating}.0.weight"]),
    )


def _layer_norm(width: int) -> nn.Module:
    return nn.LayerNorm(width, eps=1e-6)


_ARCHITECTURE = Architecture(
    id="segment_anything",
    keys=(
        f"{_ENCODER}.pos_embed",
        f"{_ENCODER}.blocks.0.attn.rel_pos_h",
        "prompt_encoder.mask_downscaling.3.weight",
        f"{_DECODER}.mask_tokens.weight",
    ),
    build=_build,
    multiple_of=1,
    half=False,
    input=NetworkInput(),
    bytes_per_pixel=0,
)


# ---------------------------------------------------------------- the generator


def _generator(network: nn.Module, at_once: int, options: SegmentAnythingOptions) -> Any:
    return _package().SamAutomaticMaskGenerator(
        network,
        points_per_side=options.points,
        points_per_batch=at_once,
        pred_iou_thresh=options.min_iou,
        stability_score_thresh=options.min_stability,
        crop_n_layers=options.crop_layers,
        crop_n_points_downscale_factor=options.downscale,
    )


def _generate(generator: Any, image: Tensor) -> list[dict[str, Any]]:
    try:
        return generator.generate(to_array(image)[0])
    except IndexError:
        # the package stumbles where it finds nothing in the picture nor in any crop
        log.warning("Segment Anything found no segment that is good enough")
        return []


def _count_batches(generator: Any) -> int:
    """Count the batches of points in all crops of all layers."""
    per_step: int = generator.points_per_batch
    return sum(
        4**layer * -(-len(points) // per_step) for layer, points in enumerate(generator.point_grids)
    )


def _bytes_per_point(size_hw: tuple[int, int]) -> int:
    """Return the memory for one point: three masks in float32, of which one copy more is about."""
    return 2 * 3 * 4 * size_hw[0] * size_hw[1]


def _working_memory(network: Any, size_hw: tuple[int, int], points: int) -> int:
    """Return the bytes beside the weights: three maps of attention of all cells to all,
    and masks.
    """
    blocks = network.image_encoder.blocks
    cells = (
        network.image_encoder.img_size // network.image_encoder.patch_embed.proj.stride[0]
    ) ** 2
    return 3 * 4 * blocks[0].attn.num_heads * cells**2 + points * _bytes_per_point(size_hw)


@contextmanager
def _reporting(network: Any, report: Step) -> Iterator[None]:
    """Report a step for every batch of points. The host's "stop" comes out where it is reported."""

    def step(*_: object) -> None:
        report(1)

    hook = network.mask_decoder.register_forward_hook(step)
    try:
        yield
    finally:
        hook.remove()
