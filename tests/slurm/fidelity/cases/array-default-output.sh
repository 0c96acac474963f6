#!/bin/bash
#SBATCH -a 5 -t 5
echo "element $SLURM_ARRAY_TASK_ID"
