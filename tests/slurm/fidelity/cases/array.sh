#!/bin/bash
#SBATCH --array=1-7:3%2 -t 5 -o out-A%A-a%a
#SBATCH -J sweep
observe "element$SLURM_ARRAY_TASK_ID"
echo "element $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_MIN-$SLURM_ARRAY_TASK_MAX"
echo "$SLURM_ARRAY_TASK_COUNT in all"
