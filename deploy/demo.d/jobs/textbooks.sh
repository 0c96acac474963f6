#!/bin/bash
# Checks a school textbook's sums, two GPUs and two tasks.
#SBATCH --job-name=textbooks
#SBATCH --nodes=1
#SBATCH --gpus-per-node=2
#SBATCH --ntasks=2
#SBATCH --time=3
set -eu
srun --ntasks=2 bash -c '
  echo "rank $SLURM_PROCID on $SLURMD_NODENAME, CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
  awk -v rank="$SLURM_PROCID" "BEGIN {
    for (a = rank + 1; a <= 400; a += 2) for (b = 1; b <= 400; b++) if ((a + b) % 7 == 0) n++
    print \"rank\", rank \":\", n, \"sums divisible by seven\" }"
  sleep 12'
