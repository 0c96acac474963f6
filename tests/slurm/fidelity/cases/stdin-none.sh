#!/bin/bash
#SBATCH -t 5 -o out
readlink /proc/self/fd/0
wc -c
