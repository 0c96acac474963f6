#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=8 -c 1 --gpus-per-node=8 -t 5 -o out
layout='echo "rank $SLURM_PROCID of $SLURM_NTASKS, node $SLURM_NODEID, local $SLURM_LOCALID"'
srun -l bash -c "$layout"
srun observe task
