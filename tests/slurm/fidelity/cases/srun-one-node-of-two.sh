#!/bin/bash
#SBATCH -N 2 -t 5 -o out
srun -N1 bash -c 'echo "one node: $SLURM_PROCID of $SLURM_NTASKS"'
srun bash -c 'echo "all nodes: $SLURM_PROCID of $SLURM_NTASKS"'
srun -N1 -n1 -w "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tail -1)" \
  bash -c 'echo "the last node: $SLURM_PROCID of $SLURM_NTASKS"'
