#!/usr/bin/env python3
#SBATCH -J snake -t 5 -o out
#: submit job.sh --epochs 3
import os, sys
print(sys.argv[1:], os.environ["SLURM_JOB_NAME"], os.getcwd() == os.environ["SLURM_SUBMIT_DIR"])
sys.exit(4)
