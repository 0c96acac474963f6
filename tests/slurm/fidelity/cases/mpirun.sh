#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=2 -t 5 -o out
# A launcher such as mpirun reads these to find its nodes and slots.
if command -v mpirun >/dev/null; then
  mpirun --version | head -1 >/dev/null
fi
echo "$SLURM_TASKS_PER_NODE on $SLURM_NNODES nodes, $SLURM_NTASKS in all"
srun --mpi=none bash -c 'echo "rank $SLURM_PROCID, $SLURM_STEP_TASKS_PER_NODE"'
