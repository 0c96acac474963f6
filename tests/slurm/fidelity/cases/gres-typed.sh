#!/bin/bash
#SBATCH --gres=gpu:h200:3 -t 5 -o out
observe batch
echo "$CUDA_VISIBLE_DEVICES" | tr ',' '\n' | wc -l
