#!/bin/bash
#SBATCH -t 5 -D below -o out
#: mkdir below
pwd | sed 's,.*/,,'
echo "$SLURM_SUBMIT_DIR" | sed 's,.*/,,'
observe batch
