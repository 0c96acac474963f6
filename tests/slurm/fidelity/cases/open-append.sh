#!/bin/bash
#SBATCH -t 5 -o out --open-mode=append
#: echo before >out
echo after
observe batch
