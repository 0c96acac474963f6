#!/bin/bash
#SBATCH -N 1 -n 4 --gres=gpu:4 -t 5 -o out
for i in 1 2 3 4; do
  srun -n1 --exact --gpus=1 --mem=100 bash -c "
    echo step $i has \$(echo \$CUDA_VISIBLE_DEVICES | tr ',' '\n' | wc -l) GPU" &
done
wait
