#!/bin/bash
#SBATCH -G 4 -t 5 -o out
observe batch
