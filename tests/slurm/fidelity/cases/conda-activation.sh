#!/bin/bash -l
#SBATCH -t 5 -o out
#: mkdir -p env/bin && printf '#!/bin/sh\necho python of the environment "$@"\n' >env/bin/python
#: chmod +x env/bin/python
#: printf 'activate() { export CONDA_PREFIX=$1; PATH=$1/bin:$PATH; }\n' >conda.sh
. ./conda.sh
activate "$PWD/env"
python train.py
basename "$CONDA_PREFIX"
