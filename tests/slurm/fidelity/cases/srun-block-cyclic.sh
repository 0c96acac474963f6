#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=3 -t 5 -o out
srun -m block bash -c 'echo "block $SLURM_PROCID $SLURM_NODEID $SLURM_LOCALID"'
srun -m cyclic bash -c 'echo "cyclic $SLURM_PROCID $SLURM_NODEID $SLURM_LOCALID"'
