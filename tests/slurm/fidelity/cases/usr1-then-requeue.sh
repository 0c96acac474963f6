#!/bin/bash
#SBATCH -t 1 -o out --requeue --signal=B:USR1@20 --open-mode=append
#: slow
#: prints checkpoint at step 1
#: prints from step 1
#: prints finished
checkpoint() {
  echo "checkpoint at step $step"
  echo "$step" >checkpoint
  scontrol requeue "$SLURM_JOB_ID"
  exec sleep 60  # says nothing when it is ended
}
trap checkpoint USR1
step=$(cat checkpoint 2>/dev/null || echo 0)
echo "from step $step"
step=1
while [ ! -e checkpoint ]; do
  sleep 1 &
  wait $!
done
echo "finished"
