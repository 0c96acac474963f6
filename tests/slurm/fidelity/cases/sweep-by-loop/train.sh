#!/bin/bash
#SBATCH --time=5
echo "lr $LR seed $SEED"
