#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=1 --gpus-per-node=4 -t 2 -o out
#: prints watching 4 GPUs
srun bash -c 'echo "training on $SLURM_NODEID"; until [ -e watched ]; do sleep 0.2; done' &
srun --overlap -N1 -n1 --mem=0 --gpus-per-node=4 bash -c '
  echo "watching $(tr , "\n" <<<"$CUDA_VISIBLE_DEVICES" | wc -l) GPUs"; touch watched'
wait
