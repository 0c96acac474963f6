#!/bin/bash
#SBATCH -t 5 -o out\\%j-%% -e err-%%a
echo to output
echo to error >&2
