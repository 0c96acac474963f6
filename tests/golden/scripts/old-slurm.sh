#!/bin/bash
#SBATCH -J old
#SBATCH -N 1

# needs the big ones
#SBATCH --gres=gpu:a100:4
python old.py
