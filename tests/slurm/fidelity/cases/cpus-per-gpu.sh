#!/bin/bash
#SBATCH --gpus-per-node=2 --cpus-per-gpu=3 --mem-per-gpu=1G -t 5 -o out
observe batch
nproc --all >/dev/null
echo "$SLURM_CPUS_ON_NODE CPUs"
