#!/bin/bash
# Fits the price of flats to their size.
#SBATCH --job-name=real-estate
#SBATCH --gpus=4
#SBATCH --time=3
set -eu
nvidia-count 4
awk 'BEGIN {
  srand(5)
  for (i = 0; i < 20000; i++) {
    size = 30 + 90 * rand()
    price = 0.42 * size + 6 * rand()
    n++; sx += size; sy += price; sxx += size * size; sxy += size * price
  }
  printf "price per square metre %.3f million tenge\n", (n * sxy - sx * sy) / (n * sxx - sx * sx)
}'
sleep 15
