#!/bin/bash
#SBATCH -t 5 -o out
#: submit <job.sh
echo "read from standard input, name $SLURM_JOB_NAME"
