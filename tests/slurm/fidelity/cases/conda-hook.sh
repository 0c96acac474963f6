#!/bin/bash
#SBATCH -t 5 -o out
#: mkdir -p conda/bin conda/envs/llm/bin
#: printf '#!/bin/sh\necho "python 3.11 of llm: $*"\n' >conda/envs/llm/bin/python
#: { echo '#!/bin/sh'
#:   echo 'echo "conda() { export PATH=$PWD/conda/envs/\$2/bin:\$PATH; }"'
#: } >conda/bin/conda
#: chmod +x conda/bin/conda conda/envs/llm/bin/python
#: prints python 3.11 of llm: train.py --epochs 3
set -euo pipefail
eval "$(conda/bin/conda shell.bash hook)"
conda activate llm
srun --ntasks=1 python train.py --epochs 3
