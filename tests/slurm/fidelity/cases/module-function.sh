#!/bin/bash
#SBATCH -t 5 -o out
#: module() { echo "module $*"; export LOADED="$LOADED:$2"; }
#: export -f module
#: submit job.sh
module load cuda/12
module load nccl
echo "$LOADED"
observe batch
