#!/bin/bash
#SBATCH -N 1 -n 3 -t 5 -o out
srun -o step-t%t.out bash -c 'echo "task $SLURM_PROCID"'
srun -l echo labelled
