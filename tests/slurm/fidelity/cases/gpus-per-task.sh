#!/bin/bash
#SBATCH -n 2 --gpus-per-task=2 -t 5 -o out
observe batch
srun observe task
