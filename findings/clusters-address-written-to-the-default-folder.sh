#!/bin/sh
# Ray: ray.cluster_utils.Cluster, with which software is tried on several nodes of one machine, writes the address of the
# cluster into the default folder even if another one is given (temp_dir). Where no cluster was ever started in the
# default folder, as on a fresh machine or in a container, that is a FileNotFoundError once the head has started.
# Whoever maps scenes on a cluster meets it in the first test on a new machine.
# Seen with ray 2.60.0, Python 3.12: FileNotFoundError for ray_current_cluster; none once the default folder exists.
set -eu
folder=$(mktemp -d)
# the head outlives the error; its programs are those of this folder
trap 'pkill -9 -f "$folder/venv" || true; sleep 1; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet ray==2.60.0
cat > cluster.py <<'PYTHON'
import os
import sys

import ray
from ray._common.utils import get_default_ray_temp_dir
from ray.cluster_utils import Cluster

default = get_default_ray_temp_dir()
print('ray', ray.__version__, 'default folder is there:', os.path.exists(default), flush=True)
head = {'num_cpus': 1, 'include_dashboard': False, 'temp_dir': sys.argv[1], 'object_store_memory': 80_000_000}
try:
    Cluster(initialize_head=True, head_node_args=head)
except FileNotFoundError as error:
    print('FileNotFoundError:', os.path.basename(error.filename), flush=True)
    os._exit(3)
print('started', flush=True)
os._exit(0)
PYTHON
# a default folder of this script alone; short, as sockets have names of 107 bytes at most
export RAY_USAGE_STATS_ENABLED=0 RAY_TMPDIR="$folder/t"
mkdir "$RAY_TMPDIR"
code=0
timeout 120 venv/bin/python cluster.py "$folder/a" 2> first.log || code=$?
[ "$code" -eq 3 ] || { echo 'The behaviour has changed.' >&2; exit 1; }
pkill -9 -f "$folder/venv" || true
mkdir "$RAY_TMPDIR/ray"
echo 'The default folder is made:'
code=0
timeout 120 venv/bin/python cluster.py "$folder/b" 2> second.log || code=$?
[ "$code" -eq 0 ] || { echo 'The behaviour has changed.' >&2; exit 1; }
