#!/bin/bash
#SBATCH --export=ALL -t 5 -o out
#: export WANTED=1
observe batch
