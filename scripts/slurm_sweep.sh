#!/usr/bin/env bash
# Runs an experiment once for each line of a file, as an array of jobs of one GPU each:
#
#   sbatch --array=1-"$(grep -c '' runs.txt)" scripts/slurm_sweep.sh runs.txt DIR --config=two_figures_gbn
#
# A line of runs.txt has the fields of one run, as --config.seed=1 --config.regularizer.block_norm.q=2, without spaces
# in a value. Run N has the folder DIR/N; all that follows DIR goes to every run. `%4` behind the array lets four run at
# a time. A job that is stopped goes on later, as with slurm_train.sh.
#
# The runs of a table are an array of as many jobs as `interpjax table CONFIG --workdir=DIR --dry_run` counts:
#
#   sbatch --array=1-36 scripts/slurm_sweep.sh table table_seed --workdir=DIR --config.dissection.broden=DIR
#SBATCH --job-name=interpjax-sweep
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

if [[ $# -lt 2 || -z ${SLURM_ARRAY_TASK_ID:-} ]]; then
  echo "usage: sbatch --array=1-COUNT $0 RUNS_FILE DIR [arguments of interpjax], or $0 table CONFIG --workdir=DIR" >&2
  exit 1
fi
if [[ $1 == table ]]; then
  arguments=("$@" "--task=$SLURM_ARRAY_TASK_ID")
else
  runs=$1 folder=$2
  shift 2
  line=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$runs")
  if [[ -z $line ]]; then
    echo "$runs: no line $SLURM_ARRAY_TASK_ID; expected the fields of a run" >&2
    exit 1
  fi
  read -ra fields <<< "$line"
  arguments=("--workdir=$folder/$SLURM_ARRAY_TASK_ID" "$@" "${fields[@]}")
fi

stopped=
step=

forward() {
  stopped=1
  if [[ -n $step ]]; then
    # Every task of the step; srun itself would kill them. A trap that fails would end this script.
    scancel --signal=TERM "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" || echo "$0: the tasks could not be told to stop" >&2
  fi
}
trap forward TERM

srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-8}" python -m interpjax "${arguments[@]}" &
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
if [[ -n $stopped && $code -eq 143 ]]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
