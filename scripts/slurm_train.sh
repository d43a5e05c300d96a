#!/usr/bin/env bash
# Trains and dissects on the GPUs of several hosts, one task a GPU:
#
#   sbatch --nodes=2 scripts/slurm_train.sh --config=places365_gbn --workdir=DIR --config.dissection.broden=DIR
#
# All that follows the script goes to interpjax; DIR is on a file system that all hosts share. Give --partition,
# --account and other sizes to sbatch, which prefers them to those below. Five minutes before its time is up the run
# saves a checkpoint, and the job is put into the queue again, where it goes on.
#SBATCH --job-name=interpjax
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

stopped=
step=

forward() {
  stopped=1
  if [[ -n $step ]]; then
    # Every task of the step; srun itself would kill them. A trap that fails would end this script.
    scancel --signal=TERM "$SLURM_JOB_ID" || echo "$0: the tasks could not be told to stop" >&2
  fi
}
trap forward TERM

# All tasks of a host see all its GPUs, and each takes that of its number: gpus-per-task would show it only one.
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-8}" python -m interpjax "$@" &
step=$!
if [[ -n $stopped ]]; then # by a signal that came before there was a step to pass it on to
  sleep 10                  # until SLURM knows the step
  forward
fi

code=0
wait "$step" || code=$?
if [[ -n $stopped ]]; then # the first wait ended with the signal, the second one ends with the step
  wait "$step" && code=0 || code=$?
fi

# 143: what a task ends with that a SIGTERM has stopped, with its checkpoint saved.
if [[ -n $stopped && $code -eq 143 ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
