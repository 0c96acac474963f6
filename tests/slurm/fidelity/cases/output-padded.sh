#!/bin/bash
#SBATCH -J 50%j -t 5 -a 3,12 -o out-%4a-%6t-%%j-%%%03n-%x-%s
echo to output
