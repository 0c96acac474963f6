#!/bin/bash
#SBATCH -N 2 --gpus-per-node=8 --ntasks-per-node=1 -t 5 -o out
scontrol show hostnames "$SLURM_JOB_NODELIST" | while read -r host; do
  echo "$host slots=$SLURM_GPUS_ON_NODE"
done >hostfile
wc -l <hostfile
cut -d' ' -f2 hostfile
