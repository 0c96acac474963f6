#!/bin/bash
#SBATCH -t 5 -o deep/er/out -e err
#: mkdir -p deep/er
echo one
echo two >&2
