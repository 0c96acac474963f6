#!/bin/bash
#SBATCH -t 5 -o out
#: submit job.sh config.yaml one 'two words' '' "it's" '$HOME' '*'
for argument; do echo "<$argument>"; done
echo "$# arguments"
