#!/bin/bash
#SBATCH -J torchrun --gres=gpu:4 -c 8 -t 5 -o out
#: cp "$FIDELITY_BIN/torchrun" .
torchrun --standalone --nproc-per-node=gpu train.py --epochs 1
