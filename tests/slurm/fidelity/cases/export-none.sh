#!/bin/bash
#SBATCH --export=NONE -t 5 -o out
#: export SECRET=1
"$PWD/../bin/observe" batch
srun "$PWD/../bin/observe" task
