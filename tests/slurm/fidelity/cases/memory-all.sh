#!/bin/bash
#SBATCH --mem=0 -t 5 -o out
observe batch
