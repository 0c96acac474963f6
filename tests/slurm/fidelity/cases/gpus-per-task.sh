#!/bin/bash
#SBATCH -N 1 -n 2 --gpus-per-task=2 -t 5 -o out
observe batch
srun observe task
