#!/bin/sh
# GeRSP under SLURM, 2 nodes of 8 GPUs: days (not measured). PROFILE=tiny: 2 CPU cores of one node, 2.5 min once installed (as runs/torchrun.sh, measured there).
#
#   sbatch --export=ALL,REMOTE=FOLDER,NATURAL=FOLDER_WITH_A_FOLDER_PER_CLASS runs/slurm_pretrain.sh
#   sbatch --nodes=1 --ntasks-per-node=2 --cpus-per-task=1 --gres=none \
#     --export=ALL,PROFILE=tiny runs/slurm_pretrain.sh
#
# Submit it in the clone, on a file system that all nodes see. Two minutes before the time is up,
# training stops between two steps and saves; the job is queued again and goes on there.
#SBATCH --job-name=gersp-geo
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu

PROFILE=${PROFILE:-paper}
ROOT=${SLURM_SUBMIT_DIR:-$(pwd)}
NODES=${SLURM_JOB_NUM_NODES:-${SLURM_NNODES:-1}}
# '8(x2)' on two nodes
PROCESSES=${SLURM_NTASKS_PER_NODE:-${SLURM_TASKS_PER_NODE:-1}}
PROCESSES=${PROCESSES%%[!0-9]*}

# 1. Install, unless the command is there; needs Python 3.12 and git's clone of this repository
if ! command -v gersp-geo > /dev/null; then
    [ -x "$ROOT/.venv/bin/gersp-geo" ] || {
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

# 3. Train; `last` is nothing in the first run, and the last checkpoint in every later one
code=0
# newer versions of srun do not take the cores of a task from the head of this file
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" gersp-geo fit "$@" \
    --data.remote_sensing "$REMOTE" --data.natural "$NATURAL" \
    --trainer.devices "$PROCESSES" --trainer.num_nodes "$NODES" --ckpt_path last || code=$?

# 4. 143 says that SIGTERM stopped it between two steps
if [ "$code" = 143 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
