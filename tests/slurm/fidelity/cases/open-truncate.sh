#!/bin/bash
#SBATCH -t 5 -o out --open-mode=truncate
#: echo before this there was more >out
echo after
observe batch
