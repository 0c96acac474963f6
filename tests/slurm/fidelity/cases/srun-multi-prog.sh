#!/bin/bash
#SBATCH -N 2 --ntasks-per-node=2 -t 5 -o out
#: prints server 0
#: prints worker 3 (2)
printf '0 echo server %%t\n1-3 echo worker %%t (%%o)\n' >roles
srun --multi-prog roles
