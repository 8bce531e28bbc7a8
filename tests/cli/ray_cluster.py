"""`toonout cutout --engine ray` on a cluster of two nodes on this machine, one of which may die.

Run as a program of its own: Ray starts processes, and asks this machine for its address.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path


def main(words: list[str], out: Path, lose_a_node_after: int) -> int:
    from ray.cluster_utils import Cluster

    from toonout_core.cli import main as toonout

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def lose() -> None:
        deadline = time.monotonic() + 120
        while len(list(out.glob("*.png"))) < lose_a_node_after and time.monotonic() < deadline:
            time.sleep(0.01)
        cluster.remove_node(second, allow_graceful=False)

    if lose_a_node_after:
        threading.Thread(target=lose, daemon=True).start()
    try:
        return toonout([*words, "--engine", "ray", "--ray-address", cluster.address])
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    raise SystemExit(main(given["words"], Path(given["out"]), given["lose_a_node_after"]))
