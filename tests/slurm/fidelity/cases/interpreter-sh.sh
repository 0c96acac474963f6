#!/bin/sh
#SBATCH -J plain-sh -t 5 -o out
echo "$SLURM_JOB_NAME"
echo "${BASH_VERSION-no bash}"
