"""`python two_nodes.py FOLDER HEAD OTHER`: a Ray cluster of two nodes on loopback, until its input ends.

It says the address of the cluster; a line with the address of a node removes that node, `head` kills what leads all.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

SMALL = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_log_monitor": False}
NO_MORE_THAN_ASKED_FOR = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_prestart_worker_first_driver": "0"}
"""No worker is started before it has something to do."""


def main() -> None:
    os.environ |= NO_MORE_THAN_ASKED_FOR
    folder, first, other = sys.argv[1:]
    os.environ["RAY_TMPDIR"] = folder
    Path(folder, "ray").mkdir(exist_ok=True)  # where Ray notes which cluster it began last
    head = SMALL | {"node_ip_address": first, "include_dashboard": False, "temp_dir": folder}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = {other: cluster.add_node(node_ip_address=other, **SMALL)}
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "head":
            (leads,) = cluster.head_node.all_processes["gcs_server"]
            leads.process.kill()
            print("removed", flush=True)
            continue
        cluster.remove_node(nodes.pop(line.strip()), allow_graceful=True)
        print("removed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
