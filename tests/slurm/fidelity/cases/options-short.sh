#!/bin/bash
#SBATCH -J short -N 2 -n 4 --ntasks-per-node=2 -c 1 -t 5 --mem=2G -o out-j%j
#SBATCH --comment "some words"   # a comment behind
observe batch
srun observe task
