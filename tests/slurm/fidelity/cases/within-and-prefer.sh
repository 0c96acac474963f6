#!/bin/bash
#SBATCH -N 2 --gpus-per-node=8 --cpus-per-task=8 -t 5 -o out
#KEZEK --within leaf
#KEZEK --prefer=leaf
#: prints as asked
observe batch
leaves=$(srun bash -c 'echo "${SLURM_TOPOLOGY_ADDR%.*}"' | sort -u | wc -l)
# To sbatch these are comments: the nodes are where it likes.
if [ -z "$KEZEK_JOB_ID" ] || [ "$leaves" -eq 1 ]; then echo "as asked"; fi
