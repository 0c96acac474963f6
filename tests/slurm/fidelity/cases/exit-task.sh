#!/bin/bash
#SBATCH -N 1 -n 4 -t 5 -o out
srun bash -c 'exit $SLURM_PROCID'
code=$?
echo "srun says $code"
exit $code
