#!/bin/bash
#SBATCH -t 5 -o out
#: umask 077
umask
touch made
mkdir folder
srun touch made-by-task
observe batch
