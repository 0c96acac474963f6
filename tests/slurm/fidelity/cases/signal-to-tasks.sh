#!/bin/bash
#SBATCH -t 1 -n 1 --signal=USR2@50 -o out
srun bash -c 'trap "echo task got USR2; exit 0" USR2; sleep 100 & wait'
echo "srun ended with $?"
