#!/bin/bash
#SBATCH -J pattern -t 5 -o out-x%x-u%u-j%j-A%A-s%%-n%n-t%t -e err-x%x
echo to output
echo to error >&2
