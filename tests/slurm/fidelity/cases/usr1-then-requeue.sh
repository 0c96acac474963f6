#!/bin/bash
#SBATCH -t 1 -o out --requeue --signal=B:USR1@50 --open-mode=append
#: slow
checkpoint() {
  echo "checkpoint at step $step"
  echo "$step" >checkpoint
  scontrol requeue "$SLURM_JOB_ID"
  sleep 60
}
trap checkpoint USR1
step=$(cat checkpoint 2>/dev/null || echo 0)
echo "from step $step"
while [ ! -e checkpoint ]; do
  sleep 1 &
  wait $!
  step=1
done
echo "finished"
