#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=4 --gpus-per-node=4 --cpus-per-task=2 -t 5 -o out
export WORLD_SIZE=$SLURM_NTASKS
srun bash -c 'RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID;
  GPUS=$(echo $CUDA_VISIBLE_DEVICES | tr , "\n" | wc -l)
  echo "rank $RANK/$WORLD_SIZE local $LOCAL_RANK sees $GPUS"'
