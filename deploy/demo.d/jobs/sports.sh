#!/bin/bash
# Finds the kicks in the sound of a match.
#SBATCH --job-name=sports
#SBATCH --gpus=2
#SBATCH --time=3
#KEZEK --kind inference
set -eu
nvidia-count 2
awk 'BEGIN {
  srand(11)
  for (t = 0; t < 54000; t++) if (rand() > 0.999) kicks++
  print kicks, "kicks in 90 minutes"
}'
sleep 12
