#!/bin/bash
#SBATCH -t 5 -o out
exit 37
