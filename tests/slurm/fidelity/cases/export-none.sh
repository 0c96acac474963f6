#!/bin/bash
#SBATCH --export=NONE -t 5 -o out
#: export SECRET=1
observe batch
srun observe task
