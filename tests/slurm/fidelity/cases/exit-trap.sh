#!/bin/bash
#SBATCH -t 5 -o out
trap 'echo cleaned up; exit 3' EXIT
false
