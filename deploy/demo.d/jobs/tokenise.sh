#!/bin/bash
# One part of a corpus, cut into words and counted: tokenise.sh PART SECONDS
#SBATCH --job-name=tokenise
#SBATCH --gpus=1
#SBATCH --time=3
set -eu
part=$1
nvidia-count 1
awk -v seed="$part" 'BEGIN {
  srand(seed)
  for (i = 0; i < 30000; i++) seen[int(5000 * rand() * rand())]++
  for (word in seen) if (seen[word] == 1) once++
  printf "part %s: %d words, %d of them once\n", seed, length(seen), once
}'
sleep "$2"
