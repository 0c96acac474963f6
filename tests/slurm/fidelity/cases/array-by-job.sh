#!/bin/bash
#SBATCH -a 0,2 -t 5 -o out-j%j
echo "element $SLURM_ARRAY_TASK_ID"
exit "$SLURM_ARRAY_TASK_ID"
