#!/bin/bash
#SBATCH -t 5 -o out
#: printf 'MODULES=$((${MODULES:-0} + 1)); module() { echo "module $*"; }\n' >modules.sh
#: export BASH_ENV=$PWD/modules.sh
#: prints module load cuda
module load cuda
echo "read $MODULES times"
bash -c 'module load in a shell below'
