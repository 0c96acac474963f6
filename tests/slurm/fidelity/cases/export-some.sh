#!/bin/bash
#SBATCH -t 5 -o out
#: export WANTED=1 SECRET=2
#: submit --export=WANTED,GIVEN='a b',MISSING job.sh
"$PWD/../bin/observe" batch
srun "$PWD/../bin/observe" task
