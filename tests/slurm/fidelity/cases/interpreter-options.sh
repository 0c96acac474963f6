#!/bin/bash -eu
#SBATCH -t 5 -o out
echo "$-" | tr -d '\n' | grep -o '[eu]'
false
echo never
