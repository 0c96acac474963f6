#!/bin/bash
#SBATCH --nodes=2 --tasks-per-node=1 --gpus-per-node=2 --cpus-per-task=4 -t 5 -o out
nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
srun --nodes=1 --ntasks=1 -w "${nodes[0]}" bash -c 'echo "head with $SLURM_CPUS_PER_TASK CPUs"' &
sleep 1
for ((i = 1; i < SLURM_JOB_NUM_NODES; i++)); do
  srun --nodes=1 --ntasks=1 -w "${nodes[i]}" bash -c "echo worker $i" &
done
wait
