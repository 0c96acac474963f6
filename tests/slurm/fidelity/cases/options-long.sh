#!/bin/bash
#SBATCH --job-name=long --nodes=2 --ntasks-per-node=2 --cpus-per-task=2
#SBATCH --gpus-per-node=2
#SBATCH --time=0-00:05:00
#SBATCH --output=out-j%j
observe batch
srun observe task
