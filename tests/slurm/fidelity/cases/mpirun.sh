#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=2 -t 5 -o out
#: prints rank 0 of 4
#: prints rank 3 of 4
echo "$SLURM_TASKS_PER_NODE on $SLURM_NNODES nodes, $SLURM_NTASKS in all"
mpirun bash -c 'echo "rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE"'
