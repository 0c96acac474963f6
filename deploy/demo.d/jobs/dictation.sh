#!/bin/bash
# Fine-tunes a model for medical dictation: gradient descent on a line. Forty seconds before the
# limit comes USR1; the job writes a checkpoint, gives its GPUs back, is requeued and goes on there.
#SBATCH --job-name=medical-dictation
#SBATCH --gpus=8
#SBATCH --time=1
#SBATCH --signal=B:USR1@40
#SBATCH --requeue
#KEZEK --max-attempts 3
#SBATCH --open-mode=append
#KEZEK --kind training
set -eu
state=$PWD/dictation-$KEZEK_JOB_ID.checkpoint
step=0 weight=0
if [ -s "$state" ]; then
  read -r step weight <"$state"
  echo "attempt $KEZEK_ATTEMPT: going on at step $step with weight $weight"
fi
save() {
  echo "$step $weight" >"$state"
  echo "USR1: checkpoint at step $step with weight $weight"
  exit 75
}
trap save USR1
nvidia-count 8
while [ "$step" -lt 24 ]; do
  weight=$(awk -v w="$weight" 'BEGIN {
    for (i = 1; i <= 2000; i++) { x = i / 2000; w += 0.00002 * (3 * x - w * x) * x }
    printf "%.6f", w
  }')
  step=$((step + 1))
  sleep 1 &
  wait $! || true
done
echo "step $step: weight $weight"
