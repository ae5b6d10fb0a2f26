#!/bin/sh
# Maps of a folder of scenes on a Ray cluster. PROFILE=tiny: 2 CPU cores, 2 min once installed (measured beside other work). PROFILE=cluster: any machines on one file system (not measured).
#
#   sh runs/ray_cluster.sh                     # tiny: a head and a worker on this machine, one scene
#   PROFILE=cluster sh runs/ray_cluster.sh head    # on the first machine, until Ctrl-C
#   PROFILE=cluster HEAD=first-machine:6379 sh runs/ray_cluster.sh worker    # on each other one
#   PROFILE=cluster HEAD=first-machine:6379 MODEL=model.ckpt SCENES=/data/scenes MAPS=/data/maps \
#       sh runs/ray_cluster.sh predict         # on any of them, as often as it takes
#
# All machines see MODEL, SCENES, MAPS and the folder in which this is started under the same names,
# and have the same versions of Python, Ray and this package. The same `predict` goes on where the
# last one ended, whatever ended it.
set -eu

PROFILE=${PROFILE:-tiny}
ROOT=$(cd "$(dirname "$0")/.." && pwd)
PORT=${PORT:-6379}
# Ray tells its makers of each cluster else
export RAY_USAGE_STATS_ENABLED=0

# 1. Install, unless the commands are there; needs Python 3.12 and git's clone of this repository
if ! command -v gersp-geo > /dev/null || ! command -v ray > /dev/null; then
    [ -x "$ROOT/.venv/bin/ray" ] || {
        python3.12 -m venv "$ROOT/.venv"
        "$ROOT/.venv/bin/pip" install "$ROOT[ray]"
    }
    PATH="$ROOT/.venv/bin:$PATH"
fi

# 2. Whoever may start processes on these machines has the secret in this file, which all of them see
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$PWD/ray-token}"
[ -s "$RAY_AUTH_TOKEN_PATH" ] || (
    umask 077
    python3 -c 'import secrets; print(secrets.token_hex(32))' > "$RAY_AUTH_TOKEN_PATH"
)

# 3. What each machine runs, until it is stopped; Ray counts its cores and accelerators
start_head() { exec ray start --head --port "$PORT" --include-dashboard false --block "$@"; }
start_worker() { exec ray start --address "$HEAD" --block "$@"; }
predict() { gersp-geo predict "$MODEL" "$SCENES" -o "$MAPS" --cluster "$HEAD" "$@"; }

case $PROFILE in
tiny)
    # 4. A model, and two machines of one core each, both of them this one
    [ -d sample-data ] || gersp-geo sample-data sample-data
    SCENES=${SCENES:-sample-data/holdout/scene.tif} MAPS=${MAPS:-map.tif}
    if [ -z "${MODEL:-}" ]; then
        gersp-geo fit --config "$ROOT/configs/finetune/segmentation.yaml" \
            --model.backbone resnet18 --data.size 64 --data.length 8 --trainer.max_epochs 1
        MODEL=runs/segmentation/checkpoints/last.ckpt
    fi
    # the one address that Ray gives this machine, whatever is asked for
    HEAD=$(python3 -c 'import ray; print(ray.util.get_node_ip_address())'):$PORT
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
    STARTED=
    trap 'kill $STARTED 2> ended.log || true; wait' EXIT
    for start in start_head start_worker; do
        ($start --num-cpus 1 --object-store-memory 80000000) > "$start.log" 2>&1 &
        STARTED="$STARTED $!"
        # the head has to be there before the worker, and both before the prediction
        for _ in $(seq 60); do
            ! grep -q 'Ray runtime started' "$start.log" || break
            sleep 1
        done
    done
    predict --workers 2 --size 256 "$@"
    ;;
cluster)
    ACTION=${1:?pass head, worker or predict}
    shift
    [ "$ACTION" = head ] || : "${HEAD:?set HEAD to HOST:PORT of the head}"
    case $ACTION in
    head) start_head "$@" ;;
    worker) start_worker "$@" ;;
    predict)
        : "${MODEL:?set MODEL}" "${SCENES:?set SCENES}" "${MAPS:?set MAPS}"
        predict "$@"
        ;;
    *)
        echo "pass head, worker or predict, got $ACTION" >&2
        exit 2
        ;;
    esac
    ;;
*)
    echo "PROFILE must be tiny or cluster, got $PROFILE" >&2
    exit 2
    ;;
esac
