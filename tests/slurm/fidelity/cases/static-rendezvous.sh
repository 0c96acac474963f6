#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=1 --gpus-per-node=8 --cpus-per-task=16 -t 5 -o out
#: prints RANK=15 LOCAL_RANK=7 WORLD_SIZE=16 node=1 devices=8 master=True
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) MASTER_PORT=29500
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / 8))
launcher="torchrun --nnodes $SLURM_NNODES --nproc_per_node 8 --master_addr $MASTER_ADDR"
srun --jobid "$SLURM_JOB_ID" --kill-on-bad-exit=1 bash -c \
  "$launcher --master_port $MASTER_PORT --node_rank \$SLURM_PROCID train.py --config c.yaml"
