#!/bin/bash
#SBATCH -w n02 -x n03 -t 5 -o out-N%N
observe batch
echo "on $SLURMD_NODENAME"
