#!/bin/bash
#SBATCH -N 1 -n 2 -t 5 -o out
srun --mpi=pmi2 bash -c 'echo "PMI rank $PMI_RANK of $PMI_SIZE"'
