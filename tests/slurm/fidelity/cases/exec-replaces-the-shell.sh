#!/bin/bash
#SBATCH -t 5 -o out
#: prints trained with 4 threads
export OMP_NUM_THREADS=4
exec python3 -c '
import os, sys
print("trained with", os.environ["OMP_NUM_THREADS"], "threads")
sys.exit(6)'
