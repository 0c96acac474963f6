#!/bin/bash
#SBATCH -N 1 -n 2 -c 2 --mem-per-cpu=100M -t 5 -o out
observe batch
srun observe task
