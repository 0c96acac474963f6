#!/bin/bash
#SBATCH -n 2 -c 2 --mem-per-cpu=100M -t 5 -o out
observe batch
srun observe task
