#!/bin/bash
#SBATCH -t 5 -o out
#: ulimit -S -n 333
#: ulimit -S -c 0
#: ulimit -S -s 4096
#: ulimit -S -u 4000
observe batch
srun observe task
