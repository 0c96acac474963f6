#!/bin/bash
#SBATCH -a 1-3 -t 5 -o out-a%a
#: printf 'lr=0.1\nlr=0.2\nlr=0.3\n' >sweep.txt
parameters=$(sed -n "${SLURM_ARRAY_TASK_ID}p" sweep.txt)
echo "training with $parameters"
