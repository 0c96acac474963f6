#!/bin/bash
#SBATCH --export=NIL -t 5 -o out
#: export SECRET=1
"$PWD/../bin/observe" batch
