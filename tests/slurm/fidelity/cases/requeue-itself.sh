#!/bin/bash
#SBATCH -t 5 -o out --requeue
#: slow
if [ ! -e first-run ]; then
  touch first-run
  echo first
  scontrol requeue "$SLURM_JOB_ID"
  exec sleep 60  # says nothing when it is ended
fi
echo "second, restarts ${SLURM_RESTART_COUNT:-none}"
