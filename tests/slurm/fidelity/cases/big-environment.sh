#!/bin/bash
#SBATCH -t 5 -o out
#: for i in $(seq 1 500); do export "BIG_$i=$(printf '%0150d' "$i")"; done
#: export LONG=$(printf '%030000d' 7)
env | grep -c '^BIG_'
echo "${#LONG}"
env | grep '^BIG_' | sort | md5sum
srun bash -c 'echo "task ${#LONG}"'
