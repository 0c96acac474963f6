#!/bin/bash
# Looks for smoke in one hour of video from a fire tower; one element of the array for each hour.
#SBATCH --job-name=wildfire
#SBATCH --array=0-11%6
#SBATCH --gpus=1
#SBATCH --time=2
#KEZEK --kind inference
set -eu
hour=$SLURM_ARRAY_TASK_ID
nvidia-count 1
awk -v hour="$hour" 'BEGIN {
  srand(hour + 17)
  for (frame = 0; frame < 20000; frame++) if (rand() < 0.0004) smoke++
  printf "hour %02d: smoke in %d of 20000 frames\n", hour, smoke
}'
sleep 8
