#!/bin/sh
# Maps of a folder of scenes by the tasks of a SLURM array. PROFILE=tiny: 2 CPU cores without SLURM, 6 min once installed (measured beside much other work; 80 s of CPU time). As it is: up to 16 GPUs (not measured).
#
#   sbatch --export=ALL,MODEL=model.ckpt,SCENES=/data/scenes,MAPS=/data/maps runs/job_array.sh
#   PROFILE=tiny sh runs/job_array.sh          # two tasks on this machine, one scene of the sample
#
# Submit it in the clone, on a file system that all nodes see. Tasks begin and end whenever there is
# room for them: each takes parts that no other one has taken, and what a task leaves undone, others
# do. SCENES may also be one file, and MAPS then names the map. Further words go to `predict`.
#SBATCH --job-name=gersp-geo
#SBATCH --array=0-15
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -eu

PROFILE=${PROFILE:-array}
ROOT=${SLURM_SUBMIT_DIR:-$(cd "$(dirname "$0")/.." && pwd)}

# 1. Install, unless the command is there; needs Python 3.12 and git's clone of this repository
if ! command -v gersp-geo > /dev/null; then
    # one task installs, and the others wait for it
    flock "$ROOT/.install.lock" sh -c "[ -x '$ROOT/.venv/bin/gersp-geo' ] || {
        python3.12 -m venv '$ROOT/.venv'
        '$ROOT/.venv/bin/pip' install '$ROOT'
    }"
    PATH="$ROOT/.venv/bin:$PATH"
fi

# 2. What each task runs; the first one of a scene decides for all how many threads a model has
START=
take_part() {
    # shellcheck disable=SC2086  # several words, or none
    $START gersp-geo predict "$MODEL" "$SCENES" -o "$MAPS" --join --no-progress "$@"
}

case $PROFILE in
tiny)
    # 3. A model, and two tasks of one core each
    [ -d sample-data ] || gersp-geo sample-data sample-data
    SCENES=${SCENES:-sample-data/holdout/scene.tif} MAPS=${MAPS:-map.tif}
    if [ -z "${MODEL:-}" ]; then
        gersp-geo fit --config "$ROOT/configs/finetune/segmentation.yaml" \
            --model.backbone resnet18 --data.size 64 --data.length 8 --trainer.max_epochs 1
        MODEL=$(find runs/segmentation/checkpoints -name '*.ckpt' | sort | tail -n 1)
    fi
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
    take_part "$@" &
    OTHER=$!
    take_part "$@"
    wait "$OTHER"
    ;;
array)
    : "${MODEL:?set MODEL}" "${SCENES:?set SCENES}" "${MAPS:?set MAPS}"
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"
    # only what srun starts gets the SIGTERM before the time is up
    START="srun --cpus-per-task=${SLURM_CPUS_PER_TASK:-1}"
    code=0
    take_part "$@" || code=$?
    if [ "$code" = 143 ] && [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    fi
    exit "$code"
    ;;
*)
    echo "PROFILE must be tiny or array, got $PROFILE" >&2
    exit 2
    ;;
esac
