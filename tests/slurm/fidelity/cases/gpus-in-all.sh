#!/bin/bash
#SBATCH -N 1 -G 4 -t 5 -o out
observe batch
