#!/bin/bash
#SBATCH -t 5 -o out
echo "loss is NaN"
scancel "$SLURM_JOB_ID"
exec sleep 60
