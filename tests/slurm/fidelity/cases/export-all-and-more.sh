#!/bin/bash
#SBATCH --export=ALL,MORE=yes,WANTED=new -t 5 -o out
#: export WANTED=old OTHER=1
observe batch
