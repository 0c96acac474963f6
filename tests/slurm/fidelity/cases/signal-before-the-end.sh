#!/bin/bash
#SBATCH -t 1 --signal=B:USR1@50 -o out
trap 'echo "got USR1"; exit 0' USR1
sleep 300 &
wait
