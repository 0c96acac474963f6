#!/bin/bash
#SBATCH -t 5 -o out
#: nice -n 5 submit job.sh
nice
observe batch
