#!/bin/bash
#SBATCH -N 2 -G 4 -t 5 -o out
observe batch
