#!/bin/bash
#SBATCH --exclusive -N 1 -t 5 -o out
observe batch
srun bash -c 'echo "task $SLURM_PROCID of $SLURM_NTASKS"'
