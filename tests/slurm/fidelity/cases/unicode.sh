#!/bin/bash
#SBATCH -J сөздік -t 5
#SBATCH --comment "қазақ тілі" -o out
#: export GREETING='сәлем, әлем'
#: submit job.sh 'екі сөз'
echo "$SLURM_JOB_NAME: $GREETING: $1"
observe batch
