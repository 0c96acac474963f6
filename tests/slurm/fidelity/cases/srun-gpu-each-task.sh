#!/bin/bash
#SBATCH -N 1 --ntasks-per-node=8 --gres=gpu:8 -t 5 -o out
#: prints task 7 has 1
srun --gpus-per-task=1 bash -c '
  echo "task $SLURM_LOCALID has $(tr , "\n" <<<"$CUDA_VISIBLE_DEVICES" | wc -l)"'
