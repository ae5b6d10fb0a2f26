#!/bin/sh
# GeRSP in several processes under torchrun. PROFILE=tiny: 2 CPU cores, 2.5 min once installed (measured beside other work). PROFILE=paper: 8 GPUs, days (not measured).
#
#   sh runs/torchrun.sh                        # tiny: ResNet-18 at 64 px on the sample landscape
#   PROFILE=paper REMOTE=FOLDER NATURAL=FOLDER_WITH_A_FOLDER_PER_CLASS PROCESSES=8 sh runs/torchrun.sh
#   ... NODES=2 MEET=first-machine:29500       # on each of two machines that see the same folders
#
# Of several machines, let one install (and make sample data) alone: both are in the shared folders.
# The same command goes on from the last checkpoint, whatever ended it. A process that dies is
# started again with all others, up to RESTARTS times, and training goes on by itself.
set -eu

PROFILE=${PROFILE:-tiny}
PROCESSES=${PROCESSES:-2}
NODES=${NODES:-1}
RESTARTS=${RESTARTS:-3}
ROOT=$(cd "$(dirname "$0")/.." && pwd)

# 1. Install, unless the command is there; needs Python 3.12 and git's clone of this repository
if ! command -v gersp-geo > /dev/null || ! command -v torchrun > /dev/null; then
    [ -x "$ROOT/.venv/bin/torchrun" ] || {
        python3.12 -m venv "$ROOT/.venv"
        "$ROOT/.venv/bin/pip" install "$ROOT"
    }
    PATH="$ROOT/.venv/bin:$PATH"
fi

# 2. Data and recipe
case $PROFILE in
tiny)
    [ -d sample-data ] || gersp-geo sample-data sample-data
    REMOTE=${REMOTE:-sample-data/scenes}
    NATURAL=${NATURAL:-sample-data/natural}
    set -- --config "$ROOT/configs/pretrain/resnet18_64px.yaml" \
        --model.num_classes 8 --model.memory_bank_size 256 --data.batch_size 16 \
        --data.num_workers 0 --trainer.max_epochs 2 --trainer.accelerator cpu "$@"
    # one thread each, or the processes take the cores from each other
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
    ;;
paper)
    : "${REMOTE:?set REMOTE to the folder of remote-sensing images}"
    : "${NATURAL:?set NATURAL to the folder with a folder of images per class}"
    set -- --config "$ROOT/configs/pretrain/paper.yaml" "$@"
    ;;
*)
    echo "PROFILE must be tiny or paper, got $PROFILE" >&2
    exit 2
    ;;
esac

# 3. Where processes meet. Without this variable, torch 2.15 lets restarted ones look for dead ones
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
if [ "$NODES" = 1 ]; then
    MEETING=--standalone
else
    : "${MEET:?set MEET to HOST:PORT of one of the machines}"
    MEETING="--nnodes=$NODES --rdzv-backend=c10d --rdzv-endpoint=$MEET --rdzv-id=gersp-geo"
fi

# 4. Train; `last` is nothing in the first run, and the last checkpoint in every later one
# shellcheck disable=SC2086  # several words
exec torchrun $MEETING --nproc-per-node="$PROCESSES" --max-restarts="$RESTARTS" \
    --no-python gersp-geo fit "$@" \
    --data.remote_sensing "$REMOTE" --data.natural "$NATURAL" \
    --trainer.devices "$PROCESSES" --trainer.num_nodes "$NODES" --ckpt_path last
