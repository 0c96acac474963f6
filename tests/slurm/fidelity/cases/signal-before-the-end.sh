#!/bin/bash
#SBATCH -t 1 --signal=B:USR1@20 -o out
#: prints got USR1
trap 'echo "got USR1"; exit 0' USR1
sleep 300 &
wait
