#!/bin/bash
#SBATCH -t 5 -o out
#: sed -i 's/$/\r/' job.sh
#: refused
echo never
