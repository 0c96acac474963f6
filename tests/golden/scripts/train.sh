#!/bin/bash
#SBATCH --job-name=train
#SBATCH -N 4 --gres=gpu:h200:8 -t 12:00:00
#SBATCH -p gpu                       # of the old cluster
#SBATCH --signal=B:USR1@300 --requeue -d afterok:48190
#KEZEK --within leaf --kind training
srun python train.py
