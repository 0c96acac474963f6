#!/bin/bash
#SBATCH -N 2 -t 5 -o out
#: prints weights
echo weights >weights.bin
sbcast --force weights.bin "$PWD/local.bin"
srun -N1 -n1 cat local.bin
