#!/bin/bash -l
## A line of another site's comment
#SBATCH --partition=gpu            # where
#SBATCH --mail-type=END,FAIL
#SBATCH --mail-user=nobody@example.org
##SBATCH --nodes=9
#SBATCH --nodes=1
#SBATCH --gres=gpu:2
#SBATCH --mem=32G
#SBATCH --time=00:05:00
#SBATCH --output=%x_%u.out
#SBATCH --job-name="fine tune"

# SBATCH --time=00:01:00
#: prints fine tune on 1 node
echo "$SLURM_JOB_NAME on $SLURM_NNODES node"
#SBATCH --nodes=4
exit 0
